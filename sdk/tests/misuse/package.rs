//! Packages outside the workspace: made from sources here, built by cargo, run with a deadline.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// The package `cloud`.
const SDK: &str = env!("CARGO_MANIFEST_DIR");

/// Where cargo builds all of them, so that dependencies are compiled once.
const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/programs");

/// The longest that a build of everything from nothing may take.
const BUILD_WITHIN: Duration = Duration::from_secs(900);

/// A file of this folder.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(SDK).join("tests").join(path)
}

/// A package on its own: no workspace, its own manifest, the versions of the workspace's `Cargo.lock`.
pub(crate) struct Package {
    pub(crate) root: PathBuf,
}

impl Package {
    /// Makes the folder `root`, or brings it up to date. `SDK` in the manifest stands for the folder of `cloud`.
    pub(crate) fn make(root: PathBuf, manifest: &str) -> Package {
        let package = Package { root };
        package.write("Cargo.toml", &manifest.replace("SDK", SDK));
        let lock = fs::read_to_string(Path::new(SDK).join("../Cargo.lock")).unwrap();
        package.write("Cargo.lock", &lock);
        package
    }

    /// Writes a file of the package. One that is so already keeps its time, and cargo its result.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        if fs::read_to_string(&path).is_ok_and(|before| before == text) {
            return;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs cargo here, without the network.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Ended {
        let mut cargo = Command::new(env!("CARGO"));
        // Most of the bytes and much of the time, and nothing here needs them.
        for part in ["CARGO_PROFILE_DEV_DEBUG", "CARGO_PROFILE_TEST_DEBUG", "CARGO_INCREMENTAL"] {
            cargo.env(part, "0");
        }
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo
            .arg(arguments[0])
            .args(["--offline", "--target-dir", TARGET])
            .args(&arguments[1..])
            .current_dir(&self.root);
        Running::start(&mut cargo, BUILD_WITHIN).end()
    }

    /// Really builds (some errors come only then), everything that can be built.
    pub(crate) fn build(&self, what: &str) -> Built {
        let ended = self.cargo(&["build", what, "--keep-going", "--message-format=json"]);
        let mut built = Built { targets: HashMap::new(), cargo: ended.stderr };
        for line in ended.stdout.lines() {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(name) = message["target"]["name"].as_str() else { continue };
            let target = built.targets.entry(name.to_string()).or_default();
            if let Some(text) = message["message"]["rendered"].as_str() {
                target.said.push_str(text);
            }
            if let Some(program) = message["executable"].as_str() {
                target.program = Some(program.into());
            }
        }
        built
    }
}

/// What became of a build.
pub(crate) struct Built {
    targets: HashMap<String, Target>,
    /// What cargo itself said.
    cargo: String,
}

/// One binary or test.
#[derive(Default)]
struct Target {
    /// The program, if it was built.
    program: Option<PathBuf>,
    /// Errors and warnings.
    said: String,
}

impl Built {
    /// The program, or what the compiler said of it.
    pub(crate) fn program(&self, name: &str) -> Result<&Path, &str> {
        match self.targets.get(name) {
            Some(Target { program: Some(program), .. }) => Ok(program),
            Some(target) => Err(&target.said),
            None => Err(&self.cargo),
        }
    }
}

/// A process that is killed when its time is over.
pub(crate) struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    begun: Instant,
    within: Duration,
}

/// How it ended, and what it said.
pub(crate) struct Ended {
    /// `None` when a signal killed it, perhaps at its deadline.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts it. Files take what it prints: nothing waits for a reader, whoever else has them open.
    pub(crate) fn start(command: &mut Command, within: Duration) -> Running {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        for setting in ["CLOUD_BACKEND", "CLOUD_SLOTS", "CLOUD_PROGRESS"] {
            command.env_remove(setting);
        }
        command.stdin(Stdio::null()).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let child = command.spawn().unwrap();
        Running { child, stdout, stderr, begun: Instant::now(), within }
    }

    pub(crate) fn end(mut self) -> Ended {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended {
                    code: status.code(),
                    stdout: whole(&mut self.stdout),
                    stderr: whole(&mut self.stderr),
                };
            }
            if self.begun.elapsed() > self.within {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let note = format!("\n(killed after {:?})", self.within);
                return Ended {
                    code: None,
                    stdout: whole(&mut self.stdout),
                    stderr: whole(&mut self.stderr) + &note,
                };
            }
            sleep(Duration::from_millis(5));
        }
    }
}

fn whole(file: &mut File) -> String {
    io::Seek::rewind(file).unwrap();
    let mut bytes = Vec::new();
    io::Read::read_to_end(file, &mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
