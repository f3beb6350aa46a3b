// Graded requests that their authors let through, and Keycard does not.
//
// I own: the list, each with the rule. I may call: nothing. I never excuse a request that a browser sends.

const refused = (why) => ({ grade: 'refused', why });
const declined = (why) => ({ grade: 'declined', why });

const COLON = refused('white space before a colon (RFC 9112 section 5.1)');
const CONTROL = refused('a control character in a header (RFC 9110 section 5.5)');
const VERSION = refused('neither HTTP/1.0 nor HTTP/1.1 (RFC 9112 section 2.3)');
const CODING = refused('a transfer coding besides chunked, which no browser sends (RFC 9112 section 6.1 lets us answer 501)');
const TARGET = refused('a request line of other than three words of visible ASCII (RFC 9112 section 3)');
const PATH = declined('an encoded control character in the path, which readers behind us may decode (A29)');

export const stricter = {
  'acceptable 1': COLON,
  'acceptable 2': COLON,
  'acceptable 3': CONTROL,
  'acceptable 4': COLON,
  'acceptable 7': VERSION,
  'acceptable 8': VERSION,
  'acceptable 9': VERSION,
  'bad-header-characters 12': CONTROL,
  'bad-header-characters 13': CONTROL,
  'bad-header-characters 14': CONTROL,
  'bad-header-characters 15': CONTROL,
  'more-compliant 6': CODING,
  'more-compliant 8': CODING,
  'more-compliant 9': CODING,
  'more-compliant 10': CODING,
  'rfc-compliant 9': CODING,
  'rfc-compliant 10': CODING,
  'rfc-compliant 11': CODING,
  'rfc-compliant 13': TARGET,
  'rfc-compliant 14': TARGET,
  'uri-specific 2': TARGET,
  'uri-specific 4': TARGET,
  'uri-specific 11': PATH,
  'uri-specific 13': PATH,
  'uri-specific 14': PATH,
};
