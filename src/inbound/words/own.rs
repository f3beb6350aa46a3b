//! Our own pages: on the way in and out, one's sessions, and forms that wait for a sign-in.
//!
//! I own: their words. I may call: `words`. I never send anybody away: the other files
//! do.

use super::{InEvery, Wording, Words};

const FORM_ADVICE_EN: &str = "Go back, sign in in another tab, and send it again.";
const FORM_ADVICE_DE: &str = "Geh zurück, melde dich in einem anderen Tab an und schick es noch einmal ab.";

pages! {
    /// `GET logout`.
    ASK_TO_SIGN_OUT
        en "Sign out?", "You will be signed out of every app behind this address.", "";
        de "Abmelden?", "Du wirst von allen Anwendungen hinter dieser Adresse abgemeldet.", "";
    /// `GET sessions`.
    SESSIONS
        en "Where you are signed in", "Each of these is a sign-in that is still in force. Sign out what you do not know, or do not use any more.", "";
        de "Wo du angemeldet bist", "Jede dieser Anmeldungen gilt noch. Melde ab, was du nicht kennst oder nicht mehr benutzt.", "";
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
}
