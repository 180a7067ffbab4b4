//! How the service and the worker of each language are started, as its page says, with what was installed for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::postgres::said;
use super::site::Addresses;
use super::support::setting;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
    Go,
    Spring,
}

impl Language {
    /// Whether its own program is on this machine. Where it is not, what installs it is said and the test is passed over,
    /// but for a run that installs what is missing.
    pub(crate) fn is_here(self) -> bool {
        let (program, asked) = self.program();
        let is_here = Command::new(program).arg(asked).output().is_ok();
        let missing = format!("`{program}` is missing. Install it with:\n{}", self.install());
        assert!(is_here || setting("CI").is_none(), "{missing}");
        if !is_here {
            eprintln!("passed over: {missing}");
        }
        is_here
    }

    fn program(self) -> (&'static str, &'static str) {
        match self {
            Language::Python => ("python3", "--version"),
            Language::Node => ("node", "--version"),
            Language::Go => ("go", "version"),
            Language::Spring => ("javac", "-version"),
        }
    }

    /// What installs the language itself.
    fn install(self) -> &'static str {
        match self {
            Language::Python => "sudo apt-get install -y python3",
            Language::Node => "sudo apt-get install -y nodejs npm",
            Language::Go => "sudo apt-get install -y golang-go",
            Language::Spring => "sudo apt-get install -y default-jdk-headless",
        }
    }

    /// Its folder in the examples, and the end of its name in the chore that installs what it needs.
    fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Node => "node",
            Language::Go => "go",
            Language::Spring => "spring",
        }
    }

    fn folder(self) -> PathBuf {
        examples().join(self.name())
    }

    /// The service, which has to listen at this port.
    pub(crate) fn service(self, at: &Addresses) -> Command {
        let mut command = match self {
            Language::Python => {
                let mut command = self.python();
                let port = at.service.to_string();
                command.args([
                    "-m",
                    "uvicorn",
                    "service:app",
                    "--log-level",
                    "warning",
                    "--port",
                    &port,
                ]);
                command
            }
            Language::Node => self.node("service.js"),
            Language::Go => Command::new(self.built().join("service")),
            Language::Spring => self.java(at),
        };
        self.settle(&mut command, at);
        command
    }

    pub(crate) fn worker(self, at: &Addresses) -> Command {
        let mut command = match self {
            Language::Python => {
                let mut command = self.python();
                command.arg("worker.py");
                command
            }
            Language::Node => self.node("worker.js"),
            Language::Go => Command::new(self.built().join("worker")),
            Language::Spring => {
                let mut command = self.java(at);
                command.arg("--spring.profiles.active=worker");
                command
            }
        };
        self.settle(&mut command, at);
        command
    }

    /// What all of them read of the environment.
    fn settle(self, command: &mut Command, at: &Addresses) {
        command.current_dir(self.folder());
        command.env("DATABASE_URL", &at.database).env("YEOUL_URL", at.inner_url());
        command.env("POINTS_SECRET", super::SIGNING).env("PORT", at.service.to_string());
    }

    fn python(self) -> Command {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", self.libraries());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn node(self, script: &str) -> Command {
        self.libraries();
        let mut command = Command::new("node");
        command.arg(script);
        command
    }

    /// In a small machine that is started for seconds, and with the database in its own words.
    fn java(self, at: &Addresses) -> Command {
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-jar"]);
        command.arg(self.built().join("points.jar"));
        let place = at.database.split_once('@').expect("a user").1;
        command.env("SPRING_DATASOURCE_URL", format!("jdbc:postgresql://{place}?user=postgres"));
        command.env("SERVER_PORT", at.service.to_string());
        command
    }

    /// Where what the example is made of was built: once in a run, after what it says now.
    fn built(self) -> PathBuf {
        static BUILT: Mutex<Vec<Language>> = Mutex::new(Vec::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let libraries = self.libraries();
        if !built.contains(&self) {
            let mut command = match self {
                Language::Spring => Command::new("mvn"),
                _ => Command::new("go"),
            };
            match self {
                Language::Spring => command
                    .args(["-q", "-B", "package"])
                    .arg(format!("-Dpoints.target={}", libraries.display())),
                _ => command.args(["build", "-o"]).arg(&libraries).arg("./..."),
            };
            let output = command.current_dir(self.folder()).output();
            said(&output.expect("it is installed")).expect("it is built");
            built.push(self);
        }
        libraries
    }

    /// Where what was installed for it is.
    fn libraries(self) -> PathBuf {
        let place = match self {
            Language::Node => self.folder().join("node_modules"),
            Language::Spring => target().join("points-spring"),
            _ => target().join("peers/examples").join(self.name()),
        };
        let install = format!("cargo xtask services install example-{}", self.name());
        assert!(place.exists(), "what an example needs is missing. Install it with:\n{install}");
        place
    }
}

pub(crate) fn examples() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the project").join("examples")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").to_owned()
}
