//! What pages say, in every language.
//!
//! I own: title, cause and advice of every page, and the words on buttons and links. I may call: `language`. I never
//! hold a placeholder: what differs from request to request stands beside these texts, not in them.
//!
//! A text is written in all languages in one place. One that is missing somewhere does not compile.

use super::language::Language;

/// A text in every language.
pub struct InEvery<T> {
    english: T,
    german: T,
}

impl<T> InEvery<T> {
    /// The text in this language.
    pub const fn spoken(&self, language: Language) -> &T {
        match language {
            Language::English => &self.english,
            Language::German => &self.german,
        }
    }
}

/// What one page says.
pub struct Words {
    /// The heading, and the `title` of a problem.
    pub title: &'static str,
    /// What happened, in plain words.
    pub text: &'static str,
    /// What to do; empty when the text says it, or the way on does.
    pub advice: &'static str,
}

impl Words {
    /// The `detail` of a problem.
    pub fn detail(&self) -> String {
        format!("{} {}", self.text, self.advice).trim().to_owned()
    }
}

/// A page's words in every language.
pub type Wording = InEvery<Words>;

/// A label in every language.
pub type Label = InEvery<&'static str>;

macro_rules! pages {
    ($($(#[$about:meta])* $name:ident
        en $en_title:literal, $en_text:literal, $en_advice:expr;
        de $de_title:literal, $de_text:literal, $de_advice:expr;)*) => {
        $($(#[$about])* pub const $name: &Wording = &InEvery {
            english: Words { title: $en_title, text: $en_text, advice: $en_advice },
            german: Words { title: $de_title, text: $de_text, advice: $de_advice },
        };)*
        #[cfg(test)]
        const PAGES: &[(&str, &Wording)] = &[$((stringify!($name), $name)),*];
    };
}

macro_rules! labels {
    ($($(#[$about:meta])* $name:ident en $en:literal; de $de:literal;)*) => {
        $($(#[$about])* pub const $name: &Label = &InEvery { english: $en, german: $de };)*
        #[cfg(test)]
        const LABELS: &[(&str, &Label)] = &[$((stringify!($name), $name)),*];
    };
}

const LATER: &str = "Please try again in a moment. If it goes on, tell the people who run this service.";
const SPAETER: &str =
    "Bitte versuche es gleich noch einmal. Wenn es so bleibt, sag den Betreibern dieses Dienstes Bescheid.";

const OTHER_ACCOUNT_EN: &str =
    "If you have another account, sign out and use that one. Otherwise ask the people who run this service.";
const OTHER_ACCOUNT_DE: &str = "Wenn du noch ein anderes Konto hast, melde dich ab und nimm jenes. Sonst frag die Betreiber dieses Dienstes.";

const FORM_ADVICE_EN: &str = "Go back, sign in in another tab, and send it again.";
const FORM_ADVICE_DE: &str = "Geh zurück, melde dich in einem anderen Tab an und schick es noch einmal ab.";

labels! {
    /// Leads to `/`.
    FRONT_PAGE en "Go to the front page"; de "Zur Startseite";
    /// The same address once more.
    RETRY en "Try again"; de "Noch einmal versuchen";
    /// Leads on, where the browser does not go by itself.
    GO_ON en "Go on"; de "Weiter";
    /// Begins a sign-in, where a form could not be kept.
    SIGN_IN_WITHOUT_FORM en "Sign in without the form"; de "Ohne das Formular anmelden";
    /// Sends a form that waited.
    SEND_FORM en "Send it now"; de "Jetzt abschicken";
    /// Lets a form that waited be.
    DO_NOT_SEND en "Do not send it"; de "Nicht abschicken";
    /// Stands before where a form goes.
    FORM_GOES_TO en "It goes to"; de "Es geht an";
    /// Stands before the names of the fields of a form.
    FORM_FIELDS en "Its fields:"; de "Seine Felder:";
    /// Begins a sign-in.
    SIGN_IN_AGAIN en "Sign in again"; de "Neu anmelden";
    /// Ends the session.
    SIGN_OUT en "Sign out"; de "Abmelden";
    /// Leaves the session as it is.
    STAY en "Stay signed in"; de "Angemeldet bleiben";
    /// Ends the session, so that somebody else can sign in.
    OTHER_ACCOUNT en "Sign out and use another account"; de "Abmelden und ein anderes Konto nehmen";
    /// Leads to the list of one's sessions.
    WHERE_SIGNED_IN en "Where you are signed in"; de "Wo du angemeldet bist";
    /// Marks the session that looks at the list.
    THIS_BROWSER en "This browser"; de "Dieser Browser";
    /// A browser that says nothing of itself.
    UNKNOWN_BROWSER en "A browser without a name"; de "Ein Browser ohne Namen";
    /// Stands before the time of a sign-in.
    SIGNED_IN_AT en "Signed in"; de "Angemeldet";
    /// Stands before the time of the last use.
    LAST_USED en "Last used"; de "Zuletzt benutzt";
    /// Stands before an address.
    FROM_ADDRESS en "From"; de "Von";
    /// Stands before the name of a provider.
    SIGNED_IN_BY en "By"; de "Über";
    /// Where a list is cut off.
    MORE_SESSIONS en "There are more than are shown here."; de "Es gibt mehr, als hier gezeigt werden.";
    /// Stands before a name.
    SIGNED_IN_AS en "You are signed in as"; de "Du bist angemeldet als";
    /// Stands before the correlation id.
    HELP en "If you ask for help, give this number:"; de "Wenn du um Hilfe bittest, nenne diese Nummer:";
}

pages! {
    /// `GET logout`.
    ASK_TO_SIGN_OUT
        en "Sign out?", "You will be signed out of every app behind this address.", "";
        de "Abmelden?", "Du wirst von allen Anwendungen hinter dieser Adresse abgemeldet.", "";
    /// `GET sessions`.
    SESSIONS
        en "Where you are signed in", "Each of these is a sign-in that is still in force. Sign out what you do not know, or do not use any more.", "";
        de "Wo du angemeldet bist", "Jede dieser Anmeldungen gilt noch. Melde ab, was du nicht kennst oder nicht mehr benutzt.", "";
    /// One of these that is not there.
    NO_SUCH_SESSION
        en "This sign-in is not there", "It is over already, or it never was yours.", "";
        de "Diese Anmeldung gibt es nicht", "Sie ist schon vorbei, oder sie war nie deine.", "";
    /// On the way to an app.
    LANDING
        en "One moment", "Your page is being opened.", "";
        de "Einen Moment", "Deine Seite wird geöffnet.", "";
    /// A form is put aside.
    KEEPING_FORM
        en "One moment", "You have to sign in first. Your form is being kept in this browser meanwhile.",
            "If this page stays, your browser runs no scripts here or has no room, and the form could not be kept: go back, sign in in another tab, and send it again.";
        de "Einen Moment", "Du musst dich zuerst anmelden. Dein Formular wird solange in diesem Browser aufbewahrt.",
            "Wenn diese Seite stehen bleibt, führt dein Browser hier keine Skripte aus oder hat keinen Platz, und das Formular ließ sich nicht aufbewahren: Geh zurück, melde dich in einem anderen Tab an und schick es noch einmal ab.";
    /// A form is fetched.
    FETCHING_FORM
        en "One moment", "You are signed in. Your form is being fetched.",
            "If this page stays, your form could not be fetched, and nothing has been sent.";
        de "Einen Moment", "Du bist angemeldet. Dein Formular wird geholt.",
            "Wenn diese Seite stehen bleibt, ließ sich dein Formular nicht holen, und nichts wurde abgeschickt.";
    /// A form waits for its button.
    ASK_TO_SEND
        en "Send your form?", "You were about to send a form when you had to sign in. It has not been sent yet.", "";
        de "Formular abschicken?", "Du wolltest gerade ein Formular abschicken, als du dich anmelden musstest. Es ist noch nicht abgeschickt.", "";
    /// Forms with files.
    FORM_WITH_FILES
        en "Your form could not be kept", "You have to sign in first, and a form with files cannot be kept until then. Nothing has been sent.",
            FORM_ADVICE_EN;
        de "Dein Formular ließ sich nicht aufbewahren", "Du musst dich zuerst anmelden, und ein Formular mit Dateien lässt sich bis dahin nicht aufbewahren. Nichts wurde abgeschickt.",
            FORM_ADVICE_DE;
    /// Large forms.
    FORM_TOO_LARGE
        en "Your form could not be kept", "You have to sign in first, and this form is too large to be kept until then. Nothing has been sent.",
            FORM_ADVICE_EN;
        de "Dein Formular ließ sich nicht aufbewahren", "Du musst dich zuerst anmelden, und dieses Formular ist zu groß, um es bis dahin aufzubewahren. Nichts wurde abgeschickt.",
            FORM_ADVICE_DE;
    /// Forms that would change.
    FORM_INEXACT
        en "Your form could not be kept", "You have to sign in first, and this form is written in a way that cannot be kept unchanged until then. Nothing has been sent.",
            FORM_ADVICE_EN;
        de "Dein Formular ließ sich nicht aufbewahren", "Du musst dich zuerst anmelden, und dieses Formular ist so geschrieben, dass es sich bis dahin nicht unverändert aufbewahren lässt. Nichts wurde abgeschickt.",
            FORM_ADVICE_DE;
    /// A form that is gone.
    FORM_LOST
        en "Your form is no longer there", "A form is kept for ten minutes, in one tab of one browser, for one person, and is shown once. Nothing has been sent.",
            "Open the page of the form once more and fill it in again.";
        de "Dein Formular ist nicht mehr da", "Ein Formular wird zehn Minuten lang aufbewahrt, in einem Tab eines Browsers, für eine Person, und einmal gezeigt. Nichts wurde abgeschickt.",
            "Öffne die Seite mit dem Formular noch einmal und fülle es neu aus.";
    /// A form that was shown before.
    FORM_USED
        en "Your form is no longer there", "A kept form is shown once, and this one was shown before.",
            "If you have not sent it then, open the page of the form once more and fill it in again.";
        de "Dein Formular ist nicht mehr da", "Ein aufbewahrtes Formular wird einmal gezeigt, und dieses wurde schon gezeigt.",
            "Wenn du es da nicht abgeschickt hast, öffne die Seite mit dem Formular noch einmal und fülle es neu aus.";
    /// `GET signed-out`.
    SIGNED_OUT
        en "You are signed out", "You can close this window, or sign in again.", "";
        de "Du bist abgemeldet", "Du kannst dieses Fenster schließen oder dich neu anmelden.", "";

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
    /// The same without its end.
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
    /// Tokens that are of no use.
    TOKENS_EXPIRE_AT_ONCE
        en "The identity provider's tokens have expired already",
            "You are signed in, but what the identity provider issued for this app was over when it arrived. Signing in again would not help.", LATER;
        de "Die Token des Anmeldedienstes sind schon abgelaufen",
            "Du bist angemeldet, aber was der Anmeldedienst für diese Anwendung ausgestellt hat, war bei der Ankunft schon abgelaufen. Neu anmelden würde nicht helfen.", SPAETER;
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
    /// A defect.
    INTERNAL
        en "Something went wrong", "This is our mistake, not yours.", LATER;
        de "Etwas ist schiefgegangen", "Der Fehler liegt bei uns, nicht bei dir.", SPAETER;

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

    /// The store.
    STORE_UNAVAILABLE
        en "Sessions cannot be read at the moment", "Whether you are signed in cannot be found out right now. You have not been signed out.", LATER;
        de "Sitzungen sind gerade nicht lesbar", "Ob du angemeldet bist, lässt sich im Moment nicht feststellen. Du wurdest nicht abgemeldet.", SPAETER;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_every_language_and_says_the_same_things() {
        let is_text = |text: &str| !text.is_empty() && text.trim() == text && !text.contains("  ");
        for (name, wording) in PAGES {
            let english = wording.spoken(Language::English);
            for language in Language::ALL {
                let words = wording.spoken(language);
                assert!(is_text(words.title) && words.title.len() < 80, "{name} {language:?}");
                assert!(!words.title.ends_with('.'), "{name} {language:?}");
                for (own, original) in [(words.text, english.text), (words.advice, english.advice)] {
                    assert_eq!(own.is_empty(), original.is_empty(), "{name} {language:?}");
                    assert!(
                        own.is_empty() || is_text(own) && own.ends_with(['.', '?']),
                        "{name} {language:?}"
                    );
                    // Names of headers and keys are not translated.
                    let quoted = |text: &str| {
                        text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
                    };
                    assert_eq!(quoted(own), quoted(original), "{name} {language:?}");
                }
                assert!(language == Language::English || words.title != english.title, "{name} {language:?}");
            }
        }
        for (name, label) in LABELS {
            assert!(Language::ALL.into_iter().all(|language| is_text(label.spoken(language))), "{name}");
            assert_ne!(label.spoken(Language::English), label.spoken(Language::German), "{name}");
        }
    }
}
