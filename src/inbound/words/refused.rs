//! What is refused before an app or a provider is asked: requests, people, and operators.
//!
//! I own: the words of these pages and problems. I may call: `words`. I never say more than whoever asks may know.

use super::{InEvery, LATER, SPAETER, Wording, Words};

const OTHER_ACCOUNT_EN: &str =
    "If you have another account, sign out and use that one. Otherwise ask the people who run this service.";
const OTHER_ACCOUNT_DE: &str = "Wenn du noch ein anderes Konto hast, melde dich ab und nimm jenes. Sonst frag die Betreiber dieses Dienstes.";

pages! {
    /// A sign-in to be ended that is not there.
    NO_SUCH_SESSION
        en "This sign-in is not there", "It is over already, or it never was yours.", "";
        de "Diese Anmeldung gibt es nicht", "Sie ist schon vorbei, oder sie war nie deine.", "";
    /// A request that cannot be understood in one way only.
    BAD_REQUEST
        en "Bad request", "The address or the form of this request is not acceptable here.", "";
        de "Ungültige Anfrage", "Adresse oder Form dieser Anfrage sind hier nicht zulässig.", "";
    /// A host that is not ours.
    UNKNOWN_HOST
        en "Unknown host", "This host name is not served here.", "Check `public_url` if you run this service.";
        de "Unbekannter Hostname", "Unter diesem Hostnamen ist hier nichts zu finden.",
            "Prüfe `public_url`, wenn du diesen Dienst betreibst.";
    /// TRACE and CONNECT.
    REFUSED_METHOD
        en "Method not allowed", "The address or the form of this request is not acceptable here.", "";
        de "Methode nicht erlaubt", "Adresse oder Form dieser Anfrage sind hier nicht zulässig.", "";
    /// Two cookies of one name.
    DUPLICATE_COOKIE
        en "Duplicate cookie", "Your browser sent one of our cookies twice.",
            "It has been removed; please load the page again.";
        de "Doppeltes Cookie", "Dein Browser hat eines unserer Cookies zweimal geschickt.",
            "Es wurde entfernt; bitte lade die Seite neu.";
    /// A connection without an address.
    NO_PEER
        en "Bad request", "It is not known where this request came from.", LATER;
        de "Ungültige Anfrage", "Es ist nicht bekannt, woher diese Anfrage kam.", SPAETER;
    /// Too many sign-ins.
    TOO_OFTEN
        en "Too many sign-ins", "There were too many sign-ins from your network in a short time.",
            "Please wait a moment and try again.";
        de "Zu viele Anmeldungen", "Aus deinem Netz kamen in kurzer Zeit zu viele Anmeldungen.",
            "Bitte warte einen Moment und versuche es noch einmal.";
    /// Nothing there.
    NOT_FOUND
        en "Not found", "There is nothing at this address.", "";
        de "Nicht gefunden", "Unter dieser Adresse gibt es nichts.", "";
    /// A method that an endpoint does not have.
    METHOD
        en "Method not allowed", "This address is not used that way.", "";
        de "Methode nicht erlaubt", "Diese Adresse wird anders benutzt.", "";
    /// A sign-in that was fetched.
    NOT_A_NAVIGATION
        en "Signing in is a navigation", "Signing in is a navigation: send the browser to this address instead of fetching it.", "";
        de "Anmelden braucht den Browser", "Zum Anmelden muss der Browser selbst diese Adresse öffnen; ein Skript kann sie nicht abrufen.", "";
    /// A sign-in with bad parameters.
    BAD_LOGIN_REQUEST
        en "This link is damaged", "The link that led here is damaged.", "Please go back and try again.";
        de "Dieser Link ist beschädigt", "Der Link, der hierher geführt hat, ist beschädigt.",
            "Bitte geh zurück und versuche es noch einmal.";
    /// The 401; never a page.
    SIGN_IN_REQUIRED
        en "Sign-in required", "", "";
        de "Anmeldung nötig", "", "";
    /// The operators' door, shut.
    UNAUTHORIZED
        en "Not authorised", "", "";
        de "Nicht berechtigt", "", "";
    /// The operators' door, unclear.
    BAD_ADMIN_REQUEST
        en "Unclear which sessions are meant",
            "Name the sessions by exactly one of `user=…`, `handle=…` and `all=true`; a list also takes none of them, and `limit=1…1000` and `cursor=…`.", "";
        de "Unklar, welche Sitzungen gemeint sind",
            "Nenne die Sitzungen durch genau eines von `user=…`, `handle=…` und `all=true`; eine Liste geht auch ohne, und mit `limit=1…1000` und `cursor=…`.", "";
    /// At the operators' door: a file of sessions.
    BAD_TRANSFER
        en "This is no file of sessions", "It was changed on its way, is of another version of Keycard, or is something else.", "";
        de "Das ist keine Datei mit Sitzungen", "Sie wurde unterwegs verändert, stammt von einer anderen Version von Keycard oder ist etwas anderes.", "";
    /// The same file without its end.
    TRANSFER_CUT_OFF
        en "The file is not whole", "Its end is missing. What comes before it was taken in.", "Send it again, whole.";
        de "Die Datei ist nicht vollständig", "Ihr Ende fehlt. Was davor kommt, wurde übernommen.", "Schick sie noch einmal, vollständig.";
    /// The same under a key that is not here.
    TRANSFER_KEYS
        en "The key of this file is not here", "It is sealed with a key that is not in `session.keys`.", "Add that key, start again, and send the file once more.";
        de "Der Schlüssel dieser Datei fehlt hier", "Sie ist mit einem Schlüssel versiegelt, der nicht in `session.keys` steht.", "Füge ihn hinzu, starte neu und schick die Datei noch einmal.";
    /// The same once more.
    TRANSFER_AGAIN
        en "This file was taken in before", "Once more, it would bring back sessions that were ended since.", "";
        de "Diese Datei wurde schon übernommen", "Noch einmal übernommen brächte sie Sitzungen zurück, die seither beendet wurden.", "";
    /// Some rule, of which no more can be said.
    FORBIDDEN
        en "Not allowed", "You are signed in, but your account is not allowed to open this page.",
            OTHER_ACCOUNT_EN;
        de "Kein Zugang", "Du bist angemeldet, aber dein Konto darf diese Seite nicht öffnen.",
            OTHER_ACCOUNT_DE;
    /// No role.
    FORBIDDEN_ROLE
        en "Not allowed", "You are signed in, but your account does not have a role that this page asks for.", OTHER_ACCOUNT_EN;
        de "Kein Zugang", "Du bist angemeldet, aber deinem Konto fehlt eine Rolle, die diese Seite verlangt.", OTHER_ACCOUNT_DE;
    /// No group.
    FORBIDDEN_GROUP
        en "Not allowed", "You are signed in, but your account is not in a group that this page is open to.", OTHER_ACCOUNT_EN;
        de "Kein Zugang", "Du bist angemeldet, aber dein Konto gehört zu keiner Gruppe, der diese Seite offensteht.", OTHER_ACCOUNT_DE;
    /// No claim.
    FORBIDDEN_CLAIM
        en "Not allowed", "You are signed in, but something that this page asks for is missing from your account's details.", OTHER_ACCOUNT_EN;
        de "Kein Zugang", "Du bist angemeldet, aber in den Angaben zu deinem Konto fehlt etwas, das diese Seite verlangt.", OTHER_ACCOUNT_DE;
    /// No address.
    FORBIDDEN_EMAIL
        en "Not allowed", "You are signed in, but your account has no verified e-mail address at an organisation that this page is open to.", OTHER_ACCOUNT_EN;
        de "Kein Zugang", "Du bist angemeldet, aber dein Konto hat keine bestätigte E-Mail-Adresse bei einer Organisation, der diese Seite offensteht.", OTHER_ACCOUNT_DE;
    /// No network; whoever signs in.
    FORBIDDEN_NETWORK
        en "Not allowed", "This page cannot be opened from the network that you are in.",
            "If you are away, try again from your organisation's own network. Otherwise ask the people who run this service.";
        de "Kein Zugang", "Aus dem Netz, in dem du bist, lässt sich diese Seite nicht öffnen.",
            "Wenn du unterwegs bist, versuche es aus dem Netz deiner Organisation. Sonst frag die Betreiber dieses Dienstes.";
    /// A WebSocket where none may pass.
    NO_WEBSOCKETS
        en "No WebSockets here", "This part of the site takes no WebSocket connections.", "Whoever runs it can allow them for this route.";
        de "Keine WebSockets an dieser Stelle", "Dieser Teil der Website nimmt keine WebSocket-Verbindungen an.", "Wer ihn betreibt, kann sie für diese Route erlauben.";
    /// A WebSocket handshake that is none.
    BAD_HANDSHAKE
        en "Not a WebSocket handshake", "This request asks for a WebSocket in a way that no browser does.", "Version 13 is spoken here, over HTTP/1.1.";
        de "Kein WebSocket-Handshake", "Diese Anfrage verlangt einen WebSocket auf eine Weise, wie es kein Browser tut.", "Hier wird Version 13 gesprochen, über HTTP/1.1.";
    /// Forged, says where it comes from.
    CSRF_FOREIGN
        en "Refused: possible cross-site request", "This request seems to come from another site.",
            "Open the page itself and try again there.";
        de "Abgelehnt: möglicherweise von einer fremden Seite", "Diese Anfrage scheint von einer anderen Website zu kommen.",
            "Öffne die Seite selbst und versuche es dort noch einmal.";
    /// Forged, perhaps: says nothing.
    CSRF_NO_EVIDENCE
        en "Refused: possible cross-site request", "Nothing in this request says where it came from.",
            "A program that is no browser may send `X-CSRF: 1`.";
        de "Abgelehnt: möglicherweise von einer fremden Seite", "Nichts an dieser Anfrage sagt, woher sie kam.",
            "Ein Programm, das kein Browser ist, darf `X-CSRF: 1` schicken.";
    /// `strict`.
    CSRF_NO_HEADER
        en "Refused: possible cross-site request", "Requests that are not navigations need the header `X-CSRF: 1` here.", "";
        de "Abgelehnt: möglicherweise von einer fremden Seite", "Anfragen von Skripten brauchen hier den Header `X-CSRF: 1`.", "";
}
