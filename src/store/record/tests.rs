//! Sessions of every kind go in and come out; nothing else does.

use super::*;
use crate::domain::session::tests::session;
use proptest::prelude::*;

/// Everything in a session, secrets included, in a form that can be compared. For tests only.
pub(in crate::store) fn everything(session: &Session) -> String {
    let tokens = &session.tokens;
    let secrets = (
        tokens.access.expose(),
        tokens.access_expires,
        tokens.refresh.as_ref().map(RefreshToken::expose),
        tokens.id_token.expose(),
    );
    let times = (session.started, session.ends, session.authenticated);
    let rest = (
        &session.sid,
        &session.provider,
        &session.acr,
        &session.provider_sid,
        &session.place,
        &session.supersedes,
        &session.renewal,
    );
    format!("{:?} {times:?} {rest:?} {secrets:?}", session.identity)
}

fn round(session: &Session) -> Session {
    decode(&encode_private(session, true).unwrap(), &encode_operator(session, true).unwrap()).unwrap()
}

struct Generated(Session);

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&everything(&self.0))
    }
}

fn claim() -> impl Strategy<Value = ClaimValue> {
    let leaf = prop_oneof![
        Just(ClaimValue::Null),
        any::<bool>().prop_map(ClaimValue::Bool),
        any::<i64>().prop_map(ClaimValue::Integer),
        any::<f64>().prop_map(ClaimValue::Float),
        any::<String>().prop_map(ClaimValue::Text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(ClaimValue::List),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(ClaimValue::Map),
        ]
    })
}

fn renewals() -> impl Strategy<Value = Renewal> {
    let attempt = (any::<[u8; 16]>(), any::<u64>(), any::<bool>()).prop_map(|(by, since, failed)| Attempt {
        by: LeaseId(by),
        since: Timestamp::from_unix_millis(since),
        failed,
    });
    (any::<u64>(), any::<u64>(), prop::option::of(attempt)).prop_map(|(generation, obtained, attempt)| {
        Renewal { generation, obtained: Timestamp::from_unix_millis(obtained), attempt }
    })
}

fn sessions() -> impl Strategy<Value = Generated> {
    let text = any::<String>;
    let maybe = || prop::option::of(any::<String>());
    let time = || any::<u64>().prop_map(Timestamp::from_unix_millis);
    let who = (text(), "[ -~]{1,255}", text(), maybe(), maybe(), any::<bool>());
    let more = (
        prop::collection::vec(text(), 0..4),
        prop::collection::vec(text(), 0..4),
        prop::collection::btree_map(text(), claim(), 0..4),
        "[a-z0-9_-]{1,32}",
    );
    let times = (time(), time(), prop::option::of(time()), prop::option::of(time()), renewals());
    let tokens = (text(), maybe(), text(), maybe(), maybe());
    (who, more, times, tokens, (text(), text(), text())).prop_map(|(who, more, times, tokens, rest)| {
        Generated(Session {
            sid: Sid::new(rest.0),
            identity: Identity {
                issuer: Issuer::new(who.0),
                subject: Subject::parse(&who.1).unwrap(),
                user_id: who.2,
                name: who.3,
                email: who.4,
                email_verified: who.5,
                roles: more.0,
                groups: more.1,
                claims: more.2,
            },
            provider: ProviderId::parse(&more.3).unwrap(),
            started: times.0,
            ends: times.1,
            authenticated: times.2,
            acr: tokens.3,
            provider_sid: tokens.4,
            tokens: TokenSet {
                access: AccessToken::new(tokens.0),
                access_expires: times.3,
                refresh: tokens.1.map(RefreshToken::new),
                id_token: RawIdToken::new(tokens.2),
            },
            renewal: times.4,
            supersedes: (rest.1.len() % 2 == 1).then(|| SessionKey::from_digest([7; 32])),
            place: SignInPlace { address: rest.1, user_agent: rest.2 },
        })
    })
}

proptest! {
    #[test]
    fn r48_every_session_comes_back_byte_for_byte(session in sessions()) {
        prop_assert_eq!(everything(&round(&session.0)), everything(&session.0));
    }

    #[test]
    fn a34_arbitrary_bytes_are_an_error_and_never_a_panic(mut bytes: Vec<u8>) {
        let operator = encode_operator(&session(), true).unwrap();
        prop_assert!(decode(&bytes, &operator).is_err());
        bytes.insert(0, FORMAT);
        prop_assert!(decode(&bytes, &operator).is_err());
    }
}

#[test]
fn another_version_is_unreadable() {
    let (private, operator) =
        (encode_private(&session(), true).unwrap(), encode_operator(&session(), true).unwrap());
    let newer = |bytes: &[u8]| [&[FORMAT + 1], &bytes[1..]].concat();
    assert!(decode(&private, &operator).is_ok());
    assert!(decode(&newer(&private), &operator).is_err());
    assert!(decode(&private, &newer(&operator)).is_err());
    assert!(decode(&operator, &private).is_err());
    assert!(decode(&[], &operator).is_err());
}

#[test]
fn r43_the_refresh_token_is_in_the_operator_part_only_and_the_others_are_not() {
    let session = session();
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let (private, operator) =
        (encode_private(&session, true).unwrap(), encode_operator(&session, true).unwrap());
    assert!(has(&operator, "\"refresh\"") && !has(&private, "\"refresh\""));
    for token in ["\"access\"", "e30.e30.e30"] {
        assert!(has(&private, token) && !has(&operator, token), "{token}");
    }
}

#[test]
fn claims_that_could_not_be_read_back_are_not_written() {
    let nested = |depth: usize| {
        let mut session = session();
        let value = (1..depth).fold(ClaimValue::Null, |inner, _| ClaimValue::List(vec![inner]));
        session.identity.claims.insert("deep".into(), value);
        session
    };
    let deepest = nested(MAX_DEPTH);
    assert_eq!(everything(&round(&deepest)), everything(&deepest));
    assert!(encode_private(&nested(MAX_DEPTH + 1), true).is_err());
}

/// Byte for byte what the version before wrote for the session of the tests.
#[test]
fn a_record_of_the_version_before_is_read() {
    let session = session();
    let unpack = |bytes: &[u8]| {
        let json = unpacked(bytes).unwrap();
        serde_json::from_slice::<serde_json::Map<String, Value>>(&json).unwrap()
    };
    let mut operator = unpack(&encode_operator(&session, true).unwrap());
    operator.entry("id").or_insert_with(|| session.identity.user_id.clone().into());
    let mut private = unpack(&encode_private(&session, true).unwrap());
    // It had everything but the refresh token.
    private.extend(operator.clone().into_iter().filter(|(name, _)| name != "rt" && name != "su"));
    let bytes = |json: &serde_json::Map<String, Value>| {
        [&[UNPACKED], serde_json::to_vec(json).unwrap().as_slice()].concat()
    };
    let read = decode(&bytes(&private), &bytes(&operator)).unwrap();
    assert_eq!(everything(&read), everything(&session));
    assert_eq!(decode_summary(&bytes(&operator)).unwrap().user_id, session.identity.user_id);
}
