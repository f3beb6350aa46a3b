//! A sign-in that was not completed, and a provider that does not do its part.
//!
//! I own: the words of these pages. I may call: `words`. I never repeat a word of the provider.

use super::{InEvery, LATER, SPAETER, Wording, Words};

pages! {
    /// A callback without sense.
    BAD_CALLBACK
        en "This sign-in link is not valid", "It may be damaged, or it was not made for you.", "Nobody has been signed in.";
        de "Dieser Anmeldelink ist nicht gültig", "Vielleicht ist er beschädigt, oder er war nicht für dich bestimmt.",
            "Niemand wurde angemeldet.";
    /// Mix-up.
    WRONG_PROVIDER
        en "The answer came from the wrong place",
            "The answer to your sign-in did not come from where you were sent.", "Nobody has been signed in.";
        de "Die Antwort kam von der falschen Stelle",
            "Die Antwort auf deine Anmeldung kam nicht von dort, wohin du geschickt wurdest.", "Niemand wurde angemeldet.";
    /// A logout of the provider was faster.
    SIGNED_OUT_MEANWHILE
        en "You were signed out meanwhile", "Your sign-in service ended this sign-in before it was completed.", "";
        de "Du wurdest inzwischen abgemeldet",
            "Dein Anmeldedienst hat diese Anmeldung beendet, bevor sie abgeschlossen war.", "";
    /// The limit of sessions for one person.
    TOO_MANY_SESSIONS
        en "You are signed in too many times",
            "You are signed in on as many devices and browsers as is allowed.",
            "Sign out on one of them, or wait until one has been idle for long, then try again.";
        de "Du bist zu oft angemeldet", "Du bist an so vielen Geräten und Browsern angemeldet, wie erlaubt ist.",
            "Melde dich an einem davon ab, oder warte, bis eines lange genug unbenutzt war, und versuche es dann noch einmal.";
    /// Too late.
    LOGIN_EXPIRED
        en "The sign-in took too long", "For your safety a sign-in is valid for ten minutes only.", "";
        de "Die Anmeldung hat zu lange gedauert", "Zu deiner Sicherheit gilt eine Anmeldung nur zehn Minuten.", "";
    /// A loop that was stopped: the cookie did not come back.
    COOKIE_LOST
        en "The sign-in could not be completed", "Your browser did not send back the cookie that belongs to this sign-in.",
            "Are cookies blocked, or was the link opened in another browser?";
        de "Die Anmeldung konnte nicht abgeschlossen werden",
            "Dein Browser hat das Cookie nicht zurückgeschickt, das zu dieser Anmeldung gehört.",
            "Sind Cookies blockiert, oder wurde der Link in einem anderen Browser geöffnet?";
    /// A loop that was stopped: used up.
    LOGIN_USED
        en "This sign-in was already completed", "Each sign-in works once, and this one was used several times.",
            "Your browser may not be keeping our cookies.";
        de "Diese Anmeldung wurde schon abgeschlossen", "Jede Anmeldung gilt einmal, und diese wurde mehrmals benutzt.",
            "Vielleicht behält dein Browser unsere Cookies nicht.";
    /// `access_denied`.
    ACCESS_DENIED
        en "The sign-in was refused", "The identity provider did not let you in, or you cancelled.", "";
        de "Die Anmeldung wurde abgelehnt", "Der Anmeldedienst hat dich nicht eingelassen, oder du hast abgebrochen.", "";
    /// `server_error`.
    PROVIDER_ERROR
        en "The identity provider has a problem", "It says that it cannot sign anybody in at the moment.", LATER;
        de "Der Anmeldedienst hat ein Problem", "Er meldet, dass er gerade niemanden anmelden kann.", SPAETER;
    /// Any other error.
    PROVIDER_STOPPED
        en "The identity provider did not complete the sign-in", "It sent you back without signing you in.",
            "Please try again. If it goes on, tell the people who run this service.";
        de "Der Anmeldedienst hat die Anmeldung nicht abgeschlossen", "Er hat dich zurückgeschickt, ohne dich anzumelden.",
            "Bitte versuche es noch einmal. Wenn es so bleibt, sag den Betreibern dieses Dienstes Bescheid.";
    /// Tokens that are of no use.
    TOKENS_EXPIRE_AT_ONCE
        en "The identity provider's tokens have expired already",
            "You are signed in, but what the identity provider issued for this app was over when it arrived. Signing in again would not help.", LATER;
        de "Die Token des Anmeldedienstes sind schon abgelaufen",
            "Du bist angemeldet, aber was der Anmeldedienst für diese Anwendung ausgestellt hat, war bei der Ankunft schon abgelaufen. Neu anmelden würde nicht helfen.", SPAETER;
    /// The provider's network.
    PROVIDER_UNAVAILABLE
        en "The identity provider cannot be reached", "The service that signs people in does not answer.", LATER;
        de "Der Anmeldedienst ist nicht erreichbar", "Der Dienst, der Menschen anmeldet, antwortet nicht.", SPAETER;
    /// The provider's metadata.
    PROVIDER_MISCONFIGURED
        en "The identity provider cannot be used at the moment", "The service that signs people in is not set up as it should be.", LATER;
        de "Der Anmeldedienst ist gerade nicht benutzbar", "Der Dienst, der Menschen anmeldet, ist nicht richtig eingerichtet.", SPAETER;
    /// The token endpoint said no.
    PROVIDER_REFUSED
        en "The identity provider refused the sign-in", "It did not confirm who you are.",
            "Nobody has been signed in. Please try again.";
        de "Der Anmeldedienst hat die Anmeldung abgelehnt", "Er hat nicht bestätigt, wer du bist.",
            "Niemand wurde angemeldet. Bitte versuche es noch einmal.";
    /// The token was not acceptable.
    PROVIDER_REJECTED
        en "The identity provider's answer was not acceptable", "What it said about you could not be verified.",
            "Nobody has been signed in. Please try again.";
        de "Die Antwort des Anmeldedienstes war nicht annehmbar", "Was er über dich gesagt hat, ließ sich nicht überprüfen.",
            "Niemand wurde angemeldet. Bitte versuche es noch einmal.";
}
