//! Random names and numbers.
//!
//! I own: every draw from the operating system's random numbers, and what new things are called. I may call: `domain`.
//! I never draw fewer than 128 bits for a name that a stranger may show.

use crate::domain::login::LoginId;
use crate::domain::renewal::LeaseId;
use crate::domain::secret::Binding;
use crate::domain::session::{Sid, Ticket};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// The operating system gave no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no random numbers")]
pub struct NoRandomness;

/// A new ticket: 256 random bits (R49).
///
/// # Errors
/// Without random numbers.
pub fn new_ticket() -> Result<Ticket, NoRandomness> {
    Ticket::parse(&new_text::<32>()?).ok_or(NoRandomness)
}

/// A new value for the binding cookie: 256 random bits.
///
/// # Errors
/// Without random numbers.
pub fn new_binding() -> Result<Binding, NoRandomness> {
    Ok(Binding::new(new_text::<32>()?.as_str()))
}

/// A new public session name: 128 random bits.
///
/// # Errors
/// Without random numbers.
pub fn new_sid() -> Result<Sid, NoRandomness> {
    Ok(Sid::new(new_text::<16>()?.as_str()))
}

/// A new login name: 128 random bits (R4).
///
/// # Errors
/// Without random numbers.
pub fn new_login_id() -> Result<LoginId, NoRandomness> {
    random().map(LoginId)
}

/// A new name for the holder of a lease: 128 random bits.
///
/// # Errors
/// Without random numbers.
pub fn new_lease_id() -> Result<LeaseId, NoRandomness> {
    random().map(LeaseId)
}

/// Random text of `N` bytes in base64url, for names that only have to differ.
///
/// # Errors
/// Without random numbers.
pub fn new_text<const N: usize>() -> Result<Zeroizing<String>, NoRandomness> {
    let bytes: Zeroizing<[u8; N]> = Zeroizing::new(random()?);
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// `N` random bytes.
///
/// # Errors
/// Without random numbers.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
