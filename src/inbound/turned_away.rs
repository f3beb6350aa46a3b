//! Who is not let through: whoever is nobody here, and whoever may not.
//!
//! I own: the 401 of scripts, and the 403 that says which account is not enough. I may call: `domain`, `answer`, `error`. I
//! never decide: policy has.

use super::answer::{Fault, Way};
use super::visit::Visit;
use super::{Desk, error};
use crate::domain::access::Denial;
use crate::domain::policy::WhySignIn;
use crate::domain::session::Session;
use actix_web::HttpResponse;

/// The 401 that every script gets, with the way to the login (R67).
pub fn challenge(why: WhySignIn, route: &str, visit: &Visit, desk: &Desk) -> HttpResponse {
    let login_url = format!("{}/login", desk.gateway.prefix.as_str());
    error::sign_in_required(why).respond(&desk.pages, &visit.voice, route, Some(&login_url))
}

/// Where another account could help, says which one is not enough, and how to take another.
pub fn not_allowed(denial: &Denial, session: Option<&Session>, desk: &Desk) -> Fault {
    let fault = error::not_allowed(denial);
    let Some(session) = session.filter(|_| denial.missing.is_personal()) else { return fault };
    let identity = &session.identity;
    // Two accounts of one person often have one name.
    let account = identity.email.as_ref().unwrap_or(&identity.user_id);
    let who = match &identity.name {
        Some(name) if name != account => format!("{name} ({account})"),
        _ => account.clone(),
    };
    let sign_out = format!("{}/logout", desk.gateway.prefix.as_str());
    Fault { way: Way::OtherAccount { who, sign_out }, ..fault }
}
