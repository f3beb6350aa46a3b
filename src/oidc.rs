//! Identity providers over OpenID Connect.
mod id_token;
mod json;
mod jwks;
mod jwt;
mod transport;
