//! The headers that every response of ours carries.
//!
//! I own: [`harden`]. I may call: nobody. I never touch a response of an app.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};

/// What every response of ours carries (R58, R68).
pub fn harden(response: &mut HttpResponse) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Cookie, Origin, Sec-Fetch-Site, Sec-Fetch-Mode, Accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: it would make the browser send `Origin: null` with our own sign-out form.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}
