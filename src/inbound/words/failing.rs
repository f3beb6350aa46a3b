//! What does not work at the moment: the store, an app, a connection, or this program.
//!
//! I own: the words of these pages. I may call: `words`. I never say where anything runs.

use super::{InEvery, LATER, SPAETER, Wording, Words};

pages! {
    /// A defect.
    INTERNAL
        en "Something went wrong", "This is our mistake, not yours.", LATER;
        de "Etwas ist schiefgegangen", "Der Fehler liegt bei uns, nicht bei dir.", SPAETER;
    /// The store.
    STORE_UNAVAILABLE
        en "Sessions cannot be read at the moment", "Whether you are signed in cannot be found out right now. You have not been signed out.", LATER;
        de "Sitzungen sind gerade nicht lesbar", "Ob du angemeldet bist, lässt sich im Moment nicht feststellen. Du wurdest nicht abgemeldet.", SPAETER;
    /// The app does not answer.
    UPSTREAM_UNREACHABLE
        en "The app behind this page cannot be reached", "It may be restarting.", LATER;
        de "Die Anwendung hinter dieser Seite ist nicht erreichbar", "Vielleicht startet sie gerade neu.", SPAETER;
    /// The app answers nonsense.
    UPSTREAM_BAD_RESPONSE
        en "The app behind this page gave a broken answer", "What it sent could not be understood.", LATER;
        de "Die Anwendung hinter dieser Seite hat fehlerhaft geantwortet", "Ihre Antwort war nicht zu verstehen.", SPAETER;
    /// The app is too slow.
    UPSTREAM_TIMEOUT
        en "The app behind this page takes too long", "It has not answered in time.", LATER;
        de "Die Anwendung hinter dieser Seite braucht zu lange", "Sie hat nicht rechtzeitig geantwortet.", SPAETER;
    /// 413.
    TOO_LARGE
        en "Too large", "What you sent is larger than this app accepts.", "";
        de "Zu groß", "Was du geschickt hast, ist größer, als diese Anwendung es annimmt.", "";
    /// 408.
    STALLED
        en "Request timed out", "The request stopped before it was complete.", "";
        de "Zeit abgelaufen", "Die Anfrage blieb stehen, bevor sie vollständig war.", "";
    /// Cannot be passed on.
    UNFORWARDABLE
        en "Bad request", "This request cannot be passed on as it is.", "";
        de "Ungültige Anfrage", "Diese Anfrage kann so nicht weitergegeben werden.", "";
    /// The client went away.
    INCOMPLETE
        en "Incomplete request", "The request ended before it was complete.", "";
        de "Unvollständige Anfrage", "Die Anfrage endete, bevor sie vollständig war.", "";
}
