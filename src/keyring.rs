//! The server's keys: sealing, naming, deriving, and drawing random numbers.
//!
//! I own: [`KeyRing`], and every use of symmetric cryptography and of randomness. I may call: `domain`.
//! I never keep a derived key for longer than a call, and I never compare secrets with `==`.
//!
//! Each key of the ring is a master key. What is used is derived from it by HKDF-SHA256 (RFC 5869) for one purpose
//! and one salt, so that no two uses share a key. The first key of the ring seals; all of them open. A sealed value
//! begins with the id of its key, which is itself derived and says nothing about the key. The keys of a ring can be
//! changed while it is in use (`change`).

mod app_cookie;
mod change;
mod random;

pub use random::{NoRandomness, new_binding, new_lease_id, new_login_id, new_sid, new_text, new_ticket};

use crate::domain::login::{BindingMark, LoginId};
use crate::domain::secret::{Binding, Nonce, PkceVerifier};
use crate::domain::session::{SessionKey, Ticket};
use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce as GcmNonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use random::random;
use zeroize::Zeroizing;

const KEY_ID_LENGTH: usize = 4;

/// The shortest text of a key that is accepted, and its only length: 32 bytes in base64.
pub const KEY_LENGTH: usize = 32;

/// A key of 256 bits, as it is configured.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_LENGTH]>);

impl MasterKey {
    /// Parses base64 (either alphabet, padding optional) of exactly 32 bytes; white space around it is ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('=').replace('-', "+").replace('_', "/");
        let bytes = Zeroizing::new(STANDARD.decode(pad(&text)).ok()?);
        let array: [u8; KEY_LENGTH] = bytes.as_slice().try_into().ok()?;
        Some(Self(Zeroizing::new(array)))
    }

    /// A fresh random key.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self(Zeroizing::new(random()?)))
    }

    /// The name of this key.
    pub fn id(&self) -> KeyId {
        key_id(self)
    }

    /// Whether it is what a file is full of that nobody has written a key into: no random number.
    pub fn is_blank(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// The text to put into a configuration.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }
}

fn pad(text: &str) -> String {
    format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
}

/// The name of a key of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KEY_ID_LENGTH]);

impl KeyId {
    /// Reads what [`Self::as_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The name in front of what was sealed; `None` where that is too short to be anything sealed.
    pub fn of(sealed: &[u8]) -> Option<Self> {
        let is_whole = sealed.len() >= KEY_ID_LENGTH + NONCE_LEN + AES_256_GCM.tag_len();
        sealed.first_chunk().filter(|_| is_whole).map(|id| Self(*id))
    }

    /// The name, as it stands in front of what its key has sealed.
    pub const fn as_bytes(&self) -> &[u8; KEY_ID_LENGTH] {
        &self.0
    }
}

/// What a derived key is for. The words are part of the derivation: changing one loses what it sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The part of a session record that only the ticket's holder opens.
    SessionRecord,
    /// The part of a session record that the server opens alone.
    OperatorRecord,
    /// The `state` of a login.
    LoginState,
    /// The names of index entries.
    Index,
    /// The cookie envelope.
    Cookie,
    /// The pseudonyms in log lines.
    LogName,
    /// What binds a login to a browser, and its nonce and verifier.
    LoginSecrets,
    /// The names of sessions for operators.
    Handle,
    /// The seals on an app's cookies.
    AppCookie,
    /// A form that waits in the browser while somebody signs in.
    KeptForm,
    /// Which session may send such a form.
    FormPass,
    /// A refresh token that is to be revoked.
    Debt,
    /// A file of sessions on their way to another store.
    Transfer,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::SessionRecord => b"keycard/1 session record",
            Self::OperatorRecord => b"keycard/1 operator record",
            Self::LoginState => b"keycard/1 login state",
            Self::Index => b"keycard/1 index",
            Self::Cookie => b"keycard/1 cookie",
            Self::LogName => b"keycard/1 log name",
            Self::LoginSecrets => b"keycard/1 login secrets",
            Self::Handle => b"keycard/1 handle",
            Self::AppCookie => b"keycard/1 app cookie",
            Self::KeptForm => b"keycard/1 kept form",
            Self::FormPass => b"keycard/1 form pass",
            Self::Debt => b"keycard/1 debt",
            Self::Transfer => b"keycard/1 transfer",
        }
    }
}

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// It is not of our making, was moved or changed, or its ticket is another.
    #[error("it was changed, moved, or sealed for somebody else")]
    NotAuthentic,
    /// Its key is not in the ring (any more).
    #[error("its key is not in `session.keys`")]
    UnknownKey,
}

struct RingKey {
    id: KeyId,
    master: MasterKey,
}

/// The keys of one moment, the sealing one first.
struct Ring {
    first: RingKey,
    others: Vec<RingKey>,
}

impl Ring {
    fn keys(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn find(&self, id: KeyId) -> Result<&RingKey, CannotOpen> {
        self.keys().find(|key| key.id == id).ok_or(CannotOpen::UnknownKey)
    }
}

/// The keys of this server, the sealing one first. A change of keys is seen at once by whoever holds this one ring; who
/// needs the same keys in several steps takes [`Self::held`].
pub struct KeyRing(ArcSwap<Ring>);

impl KeyRing {
    /// Takes the configured keys; `None` for an empty list.
    pub fn new(keys: Vec<MasterKey>) -> Option<Self> {
        let mut ring = keys.into_iter().map(|master| RingKey { id: key_id(&master), master });
        Some(Self(ArcSwap::from_pointee(Ring { first: ring.next()?, others: ring.collect() })))
    }

    /// Whether this key is in the ring.
    pub fn has(&self, id: KeyId) -> bool {
        self.0.load().find(id).is_ok()
    }

    /// The id of the key that seals.
    pub fn sealing_key(&self) -> KeyId {
        self.0.load().first.id
    }

    /// Seals `plain` with AES-256-GCM under a key derived for `purpose` and `salt`. `context` is authenticated
    /// (together with purpose and key id) and must be presented again to open.
    ///
    /// # Errors
    /// Without random numbers.
    pub fn seal(
        &self,
        purpose: Purpose,
        salt: &[u8],
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, NoRandomness> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let ring = self.0.load();
        let aad = associated_data(purpose, ring.first.id, context);
        let mut sealed = Vec::with_capacity(KEY_ID_LENGTH + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&ring.first.id.0);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        aead_key(&ring.first.master, purpose, salt)
            .seal_in_place_append_tag(GcmNonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .map_err(|_| NoRandomness)?;
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed, under whichever key of the ring it names.
    ///
    /// # Errors
    /// See [`CannotOpen`].
    pub fn open(
        &self,
        purpose: Purpose,
        salt: &[u8],
        context: &[u8],
        sealed: &[u8],
    ) -> Result<(KeyId, Zeroizing<Vec<u8>>), CannotOpen> {
        let (id, rest) = sealed.split_first_chunk::<KEY_ID_LENGTH>().ok_or(CannotOpen::NotAuthentic)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen::NotAuthentic)?;
        let ring = self.0.load();
        let key = ring.find(KeyId(*id))?;
        let aad = associated_data(purpose, key.id, context);
        let mut body = Zeroizing::new(body.to_vec());
        let length = aead_key(&key.master, purpose, salt)
            .open_in_place(GcmNonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut body)
            .map_err(|_| CannotOpen::NotAuthentic)?
            .len();
        body.truncate(length);
        Ok((key.id, body))
    }

    /// A keyed name for `parts` under the sealing key: HMAC-SHA256 over each part with its length.
    pub fn name(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        keyed_name(&self.0.load().first.master, purpose, parts)
    }

    /// The same under every key of the ring, the sealing one first: an entry may have been made under any of them.
    pub fn names(&self, purpose: Purpose, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        self.0.load().keys().map(|key| keyed_name(&key.master, purpose, parts)).collect()
    }

    /// The keys of the cookie envelope, 64 bytes each, the sealing one first.
    pub fn cookie_keys(&self) -> Vec<Zeroizing<[u8; 64]>> {
        self.0.load().keys().map(|key| derive(&key.master, Purpose::Cookie, b"", b"envelope")).collect()
    }

    /// The mark that a login's state carries of the browser's binding cookie.
    ///
    /// # Errors
    /// [`CannotOpen::UnknownKey`].
    pub fn binding_mark(
        &self,
        key: KeyId,
        binding: &Binding,
        login: LoginId,
    ) -> Result<BindingMark, CannotOpen> {
        Ok(BindingMark(*self.login_secret(key, binding, login, b"mark")?))
    }

    /// Nonce and PKCE verifier of a login: derived from server key, binding cookie and login id, so that they are
    /// kept nowhere and travel nowhere. 256 bits each, 43 characters (RFC 7636 section 4.1).
    ///
    /// # Errors
    /// [`CannotOpen::UnknownKey`].
    pub fn login_secrets(
        &self,
        key: KeyId,
        binding: &Binding,
        login: LoginId,
    ) -> Result<(Nonce, PkceVerifier), CannotOpen> {
        let nonce: Zeroizing<[u8; 32]> = self.login_secret(key, binding, login, b"nonce")?;
        let verifier: Zeroizing<[u8; 32]> = self.login_secret(key, binding, login, b"verifier")?;
        Ok((
            Nonce::new(URL_SAFE_NO_PAD.encode(nonce.as_slice())),
            PkceVerifier::new(URL_SAFE_NO_PAD.encode(verifier.as_slice())),
        ))
    }

    fn login_secret<const N: usize>(
        &self,
        key: KeyId,
        binding: &Binding,
        login: LoginId,
        what: &[u8],
    ) -> Result<Zeroizing<[u8; N]>, CannotOpen> {
        let mut info = what.to_vec();
        info.push(0);
        info.extend_from_slice(&login.0);
        Ok(derive(
            &self.0.load().find(key)?.master,
            Purpose::LoginSecrets,
            binding.expose().as_bytes(),
            &info,
        ))
    }

    /// The pseudonym of a person in log lines: 64 bits in hexadecimal. Equal people have equal ones, and nobody
    /// without the key can tell whose it is (R60).
    pub fn log_name(&self, issuer: &str, subject: &str) -> String {
        to_log_name(&self.name(Purpose::LogName, &[issuer.as_bytes(), subject.as_bytes()]))
    }

    /// The handle of a session: its name for operators, 128 bits in base64url. It is neither the ticket nor the key in
    /// the store, and leads to neither.
    pub fn handle(&self, key: &SessionKey) -> String {
        to_handle(&self.name(Purpose::Handle, &[key.as_bytes()]))
    }

    /// Whether a handle is that of a session, under whichever key of the ring it was made.
    pub fn is_handle_of(&self, handle: &str, key: &SessionKey) -> bool {
        self.names(Purpose::Handle, &[key.as_bytes()]).iter().any(|name| to_handle(name) == handle)
    }
}

fn to_log_name(name: &[u8; 32]) -> String {
    name.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn to_handle(name: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(&name[..16])
}

/// The store's name for a ticket.
pub fn session_key(ticket: &Ticket) -> SessionKey {
    ticket.key(|text| SessionKey::from_digest(sha256(text.as_bytes())))
}

/// The one right answer to a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2). SHA-1 is what that protocol says; it protects
/// nothing.
pub fn websocket_accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// A key whose signatures are checked on every request: what only depends on the key is worked out once.
#[derive(Clone)]
pub struct SignatureKey(hmac::Key);

impl SignatureKey {
    /// For HMAC-SHA256.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Whether `tag` is the HMAC-SHA256 of `message` under this key; its time does not depend on where they differ.
    pub fn has_signed(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

fn key_id(master: &MasterKey) -> KeyId {
    KeyId(*derive(master, Purpose::SessionRecord, b"key id", b"key id"))
}

fn associated_data(purpose: Purpose, key: KeyId, context: &[u8]) -> Vec<u8> {
    [purpose.label(), &key.0, context].concat()
}

#[expect(clippy::expect_used, reason = "the derived key has exactly the length of AES-256")]
fn aead_key(master: &MasterKey, purpose: Purpose, salt: &[u8]) -> LessSafeKey {
    let key: Zeroizing<[u8; 32]> = derive(master, purpose, salt, b"aead");
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("32 bytes are an AES-256 key"))
}

fn keyed_name(master: &MasterKey, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
    let key: Zeroizing<[u8; 32]> = derive(master, purpose, b"", b"name");
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut name = [0; 32];
    name.copy_from_slice(context.sign().as_ref());
    name
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[expect(clippy::expect_used, reason = "HKDF-SHA256 yields up to 8160 bytes, and N is at most 64")]
fn derive<const N: usize>(
    master: &MasterKey,
    purpose: Purpose,
    salt: &[u8],
    info: &[u8],
) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(master.0.as_slice())
        .expand(&[purpose.label(), b"\0", info], Length(N))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("N is within the limit of HKDF");
    out
}

#[cfg(test)]
mod tests;
