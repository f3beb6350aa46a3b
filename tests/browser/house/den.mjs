// Where the apps of other people live: a folder of their own, a user who may do nothing, and the three of them.
//
// I own: the configuration that an operator would write for DokuWiki, nginx, PHP, Radicale and gunicorn, and where
// their data lies. I may call: ../house.mjs. I never change a line of an app, and nothing of Debian's own instances.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, start, status } from '../house.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const DOKUWIKI = '/usr/share/dokuwiki';
/** Debian's `nobody` and `nogroup`: root's tests run the apps as them; everybody else's as themselves. */
const NOBODY = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : undefined;

/** The folder of the apps' configuration and data, their ports, and the one password that DokuWiki asks for. */
export async function makeDen() {
  const folder = mkdtempSync(join(tmpdir(), 'keycard-apps-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  // The apps read what belongs to root and write what is theirs.
  chmodSync(folder, 0o755);
  return {
    folder,
    password: randomBytes(24).toString('base64url'),
    port: { wiki: await freePort(), php: await freePort(), calendar: await freePort(), chat: await freePort() },
  };
}

/** What an operator adds to the gateway's configuration for the three apps. */
export function routes({ port, password }) {
  return `
[[route]]
path = "/dokuwiki/"
upstream = "http://127.0.0.1:${port.wiki}"
access = "signed-in"
basic_auth = { user = "{user_id}", password = "${password}" }
app_cookies = ["DokuWiki", "DW*"]
logout_paths = ["/dokuwiki/doku.php?do=logout"]

[[route]]
path = "/radicale/"
upstream = "http://127.0.0.1:${port.calendar}"
access = "signed-in"
identity_headers = { X-Remote-User = "user_id" }
strip_prefix = true
forwarded = ["x-forwarded", "x-script-name"]

[[route]]
path = "/chat/"
upstream = "http://127.0.0.1:${port.chat}"
access = "signed-in"
identity_headers = "remote-user"
websocket = true
`;
}

/** Starts the three, all answering. */
export async function openApps(house, den) {
  await Promise.all([openWiki(house, den), openCalendar(house, den), openChat(house, den)]);
}

async function openWiki(house, den) {
  const { port } = den;
  const home = room(den, 'wiki');
  ['data', 'sessions', 'uploads', 'nginx'].forEach((name) => ownRoom(home, name));
  // What DokuWiki expects below its data, empty.
  ['attic', 'cache', 'index', 'locks', 'log', 'media', 'media_attic', 'media_meta', 'meta', 'pages', 'tmp']
    .forEach((name) => ownRoom(join(home, 'data'), name));
  const conf = room(den, 'wiki/conf');
  ['plugins.php', 'plugins.required.php', 'plugins.local.php'].forEach((file) => copyFileSync(`/etc/dokuwiki/${file}`, join(conf, file)));
  // Debian's nginx tells PHP the host without its port, so DokuWiki has to know where it lives.
  // `authplain` is DokuWiki's default; it takes name and password from `Authorization`, "for SSO" as its source says.
  writeFileSync(join(conf, 'local.php'), `<?php
$conf['title'] = 'A wiki behind Keycard';
$conf['baseurl'] = '${house.origin}';
$conf['savedir'] = '${home}/data';
$conf['useacl'] = 1;
$conf['authtype'] = 'authplain';
$conf['disableactions'] = 'register,resendpwd,profile';
$conf['updatecheck'] = 0;
$conf['license'] = '0';
`);
  writeFileSync(join(conf, 'acl.auth.php'), '# <?php exit()?>\n*\t@ALL\t0\n*\t@user\t8\n');
  const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: den.password }).toString().trim();
  writeFileSync(join(conf, 'users.auth.php'), ['# <?php exit()?>', `alice:${hash}:Alice Archer:alice@people.test:user`,
    `bob:${hash}:Bob Baker:bob@people.test:user`, ''].join('\n'));
  // Debian's own preload.php reads DOKU_CONF where it is set: how several wikis share one installation.
  writeFileSync(join(home, 'prepend.php'), `<?php define('DOKU_CONF', '${conf}/');\n`);
  writeFileSync(join(home, 'nginx.conf'), nginx(home, port));
  const php = run(house, den, 'PHP', 'php-cgi', ['-b', `127.0.0.1:${port.php}`,
    '-d', `auto_prepend_file=${home}/prepend.php`, '-d', `session.save_path=${home}/sessions`,
    '-d', `upload_tmp_dir=${home}/uploads`], { PHP_FCGI_CHILDREN: '4' });
  const web = run(house, den, 'nginx', '/usr/sbin/nginx', ['-e', 'stderr', '-p', home, '-c', join(home, 'nginx.conf')]);
  await php.ready(() => listens(port.php));
  await web.ready(async () => await status(`http://127.0.0.1:${port.wiki}/dokuwiki/doku.php`) < 500);
}

const nginx = (home, port) => `
daemon off;
pid ${home}/nginx/pid;
events {}
http {
  include /etc/nginx/mime.types;
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${home}/nginx/${of};`).join(' ')}
  client_max_body_size 20m;
  server {
    listen 127.0.0.1:${port.wiki};
    root /usr/share;
    location / { return 404; }
    location /dokuwiki/ { index doku.php index.html; }
    location ~ ^/dokuwiki/(bin|conf|data|inc|vendor)/ { return 404; }
    location ~ ^/dokuwiki/.*\\.php$ {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass 127.0.0.1:${port.php};
    }
  }
}
`;

async function openCalendar(house, den) {
  const home = room(den, 'calendar');
  ownRoom(home, 'collections');
  writeFileSync(join(home, 'config'), `
[auth]
type = http_x_remote_user
[rights]
type = owner_only
[storage]
filesystem_folder = ${home}/collections
[logging]
level = info
`);
  // Its heartbeat is in memory: gunicorn writes no file.
  const app = run(house, den, 'Radicale', 'gunicorn', ['--bind', `127.0.0.1:${den.port.calendar}`, '--workers', '2',
    '--threads', '4', '--worker-tmp-dir', '/dev/shm', 'radicale:application'], { RADICALE_CONFIG: join(home, 'config') });
  await app.ready(async () => await status(`http://127.0.0.1:${den.port.calendar}/.web/`) === 200);
}

async function openChat(house, den) {
  // As ourselves: nobody else may be able to read its packages, which lie in our tree.
  const app = run(house, den, 'the chat', process.execPath, [join(HERE, 'chat.mjs'), den.port.chat], {}, {});
  house.chat = app;
  await app.ready(async () => await status(`http://127.0.0.1:${den.port.chat}/chat/`) === 200);
}

/** A process at home in the den, as somebody without rights. */
function run(house, den, name, command, args, env = {}, user = NOBODY) {
  const child = start(house, name, command, args, { HOME: den.folder, TMPDIR: den.folder, ...env },
    { cwd: den.folder, ...user });
  (house.apps ??= []).push(child);
  return child;
}

function room(den, name) {
  const at = join(den.folder, name);
  mkdirSync(at, { recursive: true });
  chmodSync(at, 0o755);
  return at;
}

function ownRoom(home, name) {
  const at = join(home, name);
  mkdirSync(at, { recursive: true });
  if (NOBODY) chownSync(at, NOBODY.uid, NOBODY.gid);
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1').on('error', () => resolve(false));
    socket.on('connect', () => { socket.destroy(); resolve(true); });
  });
}
