//! Every command that a document says to type is run, or it is said why not and what runs it instead.
//!
//! I own: [`PROOFS`], one line for each command, and the scene in which commands run. A command without its line fails.
//! What a document shows below a command has to be what the command prints. I may call: `house`.

use super::{Document, root};
use crate::it::house::gateway::ADMIN_TOKEN;
use crate::it::house::setting::Setting;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The longest that a process may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// What shows that a command does what the document promises.
enum Proof {
    /// It runs here, with the configuration that the document shows above it, and exits with 0.
    Runs,
    /// It runs here until it is told to stop, having said that it serves.
    Serves,
    /// It cannot run within a test. Another part of the suite does the same: these files have to hold these words.
    Elsewhere(&'static [(&'static str, &'static str)]),
}

use Proof::{Elsewhere, Runs, Serves};

/// That the engine is among what CI runs.
const IN_CI: (&str, &str) = (".ci/run", " tests/engine\n");

const PROOFS: &[(&str, Proof)] = &[
    // The demo does not end by itself; a browser takes its whole tour.
    (
        "cargo run -- demo",
        Elsewhere(&[("tests/browser/demo.mjs", "startDemo(["), ("Cargo.toml", "default = [\"demo\"]")]),
    ),
    // These are the run that this test is part of, and its own build.
    ("tests/all", Elsewhere(&[("tests/all", "cargo test --locked")])),
    (".ci/run", Elsewhere(&[(".github/workflows/ci.yml", ".ci/run"), (".ci/run", "tests/all")])),
    // It measures for half an hour; that it compiles is seen by every build of all targets.
    (
        "benches/run",
        Elsewhere(&[
            ("benches/run", "check | storm | million | revocation"),
            (".ci/run", "cargo clippy --all-targets"),
        ]),
    ),
    ("cargo build", Elsewhere(&[("tests/all", "cargo build --locked")])),
    // The name is made up; what runs all of them is run by .ci/run.
    (
        "node tests/mutations/run.mjs my-new-mutation",
        Elsewhere(&[(".ci/run", "node tests/mutations/run.mjs --sample")]),
    ),
    (
        "node tests/mutations/run.mjs --check",
        Elsewhere(&[(".ci/run", "node tests/mutations/run.mjs --check")]),
    ),
    // An optimised build takes minutes; the image's build has the same flags.
    (
        "cargo install --locked --path . --no-default-features",
        Elsewhere(&[("Dockerfile", "cargo build --locked --profile \"$PROFILE\" --no-default-features")]),
    ),
    // A Docker engine is not started within a test. tests/engine has one of its own, takes these lines from the document,
    // and runs each as it stands there.
    (
        "docker build -t keycard .",
        Elsewhere(&[("tests/engine", "'docker build '*) build \"$command\""), IN_CI]),
    ),
    (
        "docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
         -p 127.0.0.1:8080:8080 -v keycard:/var/lib/keycard \
         -v \"$PWD/keycard.toml:/etc/keycard/keycard.toml:ro\" -v \"$PWD/oidc:/run/secrets/oidc:ro\" keycard",
        Elsewhere(&[("tests/engine", "'docker run '*) run \"$command\""), IN_CI]),
    ),
    (
        "docker compose -f config/compose.yaml up demo",
        Elsewhere(&[("tests/engine", "'docker compose '*' up demo') demo \"$command\""), IN_CI]),
    ),
    // These need a registry; a page that uses what they make is tried in a browser.
    (
        "npm ci --prefix client",
        Elsewhere(&[("tests/install", "client tests/browser"), ("tests/install", "npm ci")]),
    ),
    (
        "npm run build --prefix client",
        Elsewhere(&[
            ("tests/all", "npm run build --prefix client"),
            ("client/package.json", "\"build\": \"tsc\""),
        ]),
    ),
    ("keycard check", Runs),
    ("keycard check --connect", Runs),
    ("keycard serve", Serves),
    ("keycard health", Runs),
    ("(umask 077; keycard keys new > keycard.key)", Runs),
    ("keycard schema > keycard.schema.json", Runs),
    ("keycard keys status --token-file /run/secrets/admin", Runs),
    ("keycard sessions list --token-file /run/secrets/admin", Runs),
    ("keycard sessions end --user alice@example.com --token-file /run/secrets/admin", Runs),
    ("keycard sessions end --all --token-file /run/secrets/admin", Runs),
    // They need two gateways and two stores.
    (
        "keycard sessions export sessions.keycard --token-file /run/secrets/admin",
        Elsewhere(&[
            ("tests/it/moving.rs", "from_one_machine_to_redis"),
            ("tests/it/moving.rs", "[\"export\", name]"),
        ]),
    ),
    (
        "keycard sessions import sessions.keycard --token-file /run/secrets/admin",
        Elsewhere(&[("tests/it/moving.rs", "[\"import\", name]")]),
    ),
];

/// A command as a document shows it.
struct Shown {
    document: String,
    command: String,
    /// What stands below it; `…` is for any number of lines.
    output: Vec<String>,
    /// The configuration that the document shows above it, if it shows one.
    configuration: Option<String>,
}

/// Every command of a document.
fn shown_in(document: &Document) -> Vec<Shown> {
    let (mut shown, mut configuration): (Vec<Shown>, Option<String>) = (Vec::new(), None);
    for block in document.blocks() {
        match block.language {
            "toml" => configuration = Some(block.content.to_owned()),
            "console" => shown.extend(read(document, block.content, configuration.as_deref())),
            _ => {}
        }
    }
    shown
}

fn read(document: &Document, content: &str, configuration: Option<&str>) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let content = content.replace("\\\n", " ");
    for line in content.lines() {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push(Shown {
                document: document.name.clone(),
                command: in_one_line(command.split("  #").next().unwrap_or_default()),
                output: Vec::new(),
                configuration: configuration.map(str::to_owned),
            }),
            (None, Some(last)) => last.output.push(in_one_line(line)),
            (None, None) => panic!("{}: {line:?} is below no command", document.name),
        }
    }
    shown
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn all_shown() -> Vec<Shown> {
    Document::all().iter().flat_map(shown_in).collect()
}

fn proof_of(command: &str) -> Option<&'static Proof> {
    PROOFS.iter().find(|(known, _)| in_one_line(known) == command).map(|(_, proof)| proof)
}

#[test]
fn every_command_has_its_proof_and_every_proof_its_command() {
    let shown = all_shown();
    for one in &shown {
        assert!(
            proof_of(&one.command).is_some(),
            "{}: nothing shows that `{}` works: give it a line in PROOFS",
            one.document,
            one.command
        );
    }
    let commands: BTreeSet<&str> = shown.iter().map(|one| one.command.as_str()).collect();
    for (command, _) in PROOFS {
        assert!(commands.contains(in_one_line(command).as_str()), "no document shows `{command}` any more");
    }
    let new = Document {
        name: "new.md".into(),
        text: "```console\n$ keycard fly \\\n    --high   # why not\nup\n```".into(),
    };
    let shown = shown_in(&new);
    assert_eq!(
        (shown[0].command.as_str(), shown[0].output.as_slice()),
        ("keycard fly --high", &["up".to_owned()][..])
    );
    assert!(proof_of(&shown[0].command).is_none());
}

#[test]
fn what_cannot_run_here_is_run_elsewhere() {
    for (command, proof) in PROOFS {
        let Elsewhere(places) = proof else { continue };
        for (file, words) in *places {
            let text = fs::read_to_string(root().join(file)).unwrap_or_default();
            assert!(text.contains(words), "`{command}`: {words:?} is not in {file} any more");
        }
        let program = command.split(' ').next().unwrap();
        if program.contains('/') {
            let mode = fs::metadata(root().join(program)).unwrap().permissions().mode();
            assert!(mode & 0o111 != 0, "{program} cannot be executed");
        }
    }
}

#[test]
fn the_engine_takes_every_docker_line_from_the_document_that_shows_it() {
    let engine = fs::read_to_string(root().join("tests/engine")).unwrap();
    let document = "docs/deployment.md";
    assert!(engine.contains(&format!("\nDOCUMENT={document}\n")));
    let shown = all_shown();
    let docker: Vec<&Shown> = shown.iter().filter(|one| one.command.starts_with("docker ")).collect();
    assert!(
        engine.contains(&format!("\"${{#commands[@]}}\" {}\n", docker.len())),
        "tests/engine expects another number"
    );
    for one in docker {
        assert_eq!(one.document, document, "tests/engine does not read it: `{}`", one.command);
        assert!(!engine.contains(&one.command), "tests/engine has a copy of `{}`", one.command);
    }
}

/// A directory with a configuration and its secrets, and the parts that it names: provider, app, and a gateway with its
/// doors open.
struct Scene {
    setting: Setting,
    folder: TempDir,
}

impl Scene {
    fn new(configuration: &str) -> Self {
        let scene =
            Self { setting: Setting::with(|plan| plan.operating = true), folder: TempDir::new().unwrap() };
        scene.write("keycard.toml", configuration);
        scene.write("oidc", "a-secret-of-the-relying-party\n");
        scene.write("admin", ADMIN_TOKEN);
        scene
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The command in a shell. What the configuration names and is not on this machine comes from variables, as the
    /// documents say that it may; the file itself stays as it is shown.
    fn shell(&self, command: &str) -> Command {
        let Setting { provider, upstream, gateway, .. } = &self.setting;
        let mut typed = command.replace("/run/secrets/admin", &self.path("admin"));
        if command.starts_with("keycard sessions ") || command.starts_with("keycard keys status ") {
            typed.push_str(&format!(" --url http://{}", gateway.admin.unwrap()));
        }
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_keycard")).parent().unwrap().display();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &typed])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{folder}:/usr/bin:/bin"))
            .env("KEYCARD__SERVER__LISTEN", "127.0.0.1:0")
            .env("KEYCARD__SESSION__STORE_PATH", self.path("keycard-data"))
            .env("KEYCARD__PROVIDER__0__ISSUER", provider.issuer())
            .env("KEYCARD__PROVIDER__0__CLIENT_SECRET__FILE", self.path("oidc"))
            .env("KEYCARD__ROUTE__0__UPSTREAM", upstream.url())
            .stdin(Stdio::null());
        if command == "keycard health" {
            shell.env("KEYCARD__SERVER__HEALTH_LISTEN", gateway.health.unwrap().to_string());
        }
        shell
    }
}

/// The configuration that a document shows above a command, or else the first one of README.
fn configuration_for(shown: &Shown) -> String {
    shown.configuration.clone().unwrap_or_else(|| {
        let readme = Document::one("README.md");
        let first = readme.blocks().into_iter().find(|block| block.language == "toml");
        first.unwrap().content.to_owned()
    })
}

#[test]
fn every_command_that_can_run_runs_and_prints_what_is_shown() {
    for one in all_shown().iter().filter(|one| matches!(proof_of(&one.command), Some(Runs))) {
        let scene = Scene::new(&configuration_for(one));
        // So that there is somebody to be listed and signed out.
        scene.setting.signed_in();
        let Output { status, stdout, stderr } = scene.shell(&one.command).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        let said = format!("{}: {}\n{stdout}\n{stderr}", one.document, one.command);
        assert!(status.success(), "{said}");
        if let Err(missing) = is_shown(&stdout, &one.output) {
            panic!("{missing:?} is shown, and not said\n{said}");
        }
        if let Ok(key) = fs::metadata(scene.folder.path().join("keycard.key")) {
            assert_eq!((key.permissions().mode() & 0o777, key.len()), (0o600, 45), "{said}");
        }
    }
}

/// Whether a text has these lines, one below the other; only `…` lets lines be left out.
fn is_shown(text: &str, lines: &[String]) -> Result<(), String> {
    let said: Vec<String> = text.lines().map(in_one_line).collect();
    let (mut at, mut may_skip) = (0, false);
    for line in lines {
        if line == "…" {
            may_skip = true;
            continue;
        }
        let found = said[at..].iter().position(|one| one == line).filter(|skipped| may_skip || *skipped == 0);
        at += found.ok_or_else(|| line.clone())? + 1;
        may_skip = false;
    }
    Ok(())
}

#[test]
fn output_that_differs_is_noticed() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let said = "one\ntwo   2\nthree";
    for right in ["", "one\ntwo 2", "…\nthree", "one\n…\nthree"] {
        assert_eq!(is_shown(said, &lines(right)), Ok(()), "{right}");
    }
    for wrong in ["two 2", "one\nthree", "…\nthree\ntwo 2", "…\nfour"] {
        assert!(is_shown(said, &lines(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn what_serves_says_so_and_stops_when_told() {
    for one in all_shown().iter().filter(|one| matches!(proof_of(&one.command), Some(Serves))) {
        let scene = Scene::new(&configuration_for(one));
        let mut child = scene
            .shell(&format!("exec {}", one.command))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map(Running)
            .unwrap();
        let stderr = child.0.stderr.take().unwrap();
        let (says, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| says.send(line))
        });
        let mut said = String::new();
        while !said.contains("keycard is serving") {
            let line = lines.recv_timeout(PATIENCE);
            let line = line
                .unwrap_or_else(|_| panic!("{}: `{}` does not serve:\n{said}", one.document, one.command));
            said.push_str(&format!("{line}\n"));
        }
        let kill = format!("kill -TERM {}", child.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        // Its standard error is closed when it is gone.
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            said.push_str(&format!("{line}\n"));
        }
        assert!(child.0.wait().unwrap().success() && said.contains("keycard has stopped"), "{said}");
    }
}

/// A process that ends with its test at the latest.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
