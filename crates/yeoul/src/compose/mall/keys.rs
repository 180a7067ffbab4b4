//! The keys that tokens are verified with, in a process that has not the service which signs them.
//!
//! They are asked for where the settings say, and again every [`ASKED_EVERY`]. A copy in the data folder lets a
//! process start while that service is away; the first start waits for it, since a token that nobody can look
//! at would be refused as none.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::cores::Loop;
use chassis::folder;
use chassis::http::Stop;
use chassis::identity::Verifier;
use http::{Method, StatusCode};
use hyper::body::Bytes;
use mall::settings::KeysAt;
use tracing::{info, warn};

use crate::exchange::exchange;
use crate::exit::Failure;
use crate::process::damaged;
use crate::settings::Checked;

/// The copy, in the data folder.
const FILE: &str = "keys.json";
/// How often they are asked for: after so long one that was replaced is no longer believed.
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// The same, where there are none yet.
const MISSED_EVERY: Duration = Duration::from_millis(100);
/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// So many times in vain, and it is said whom one waits for.
const SAID_AFTER: u32 = 20;

/// Who is taught, and where the keys are.
#[derive(Clone)]
pub(super) struct KeySource {
    verifier: Verifier,
    file: PathBuf,
    authority: String,
    path: String,
    known: Vec<u8>,
}

impl KeySource {
    /// Resolves when `verifier` has those that the settings name.
    ///
    /// # Errors
    /// The copy cannot be written: the environment.
    pub(super) async fn of(
        plan: &Checked,
        verifier: &Verifier,
        data: &Path,
    ) -> Result<KeySource, Failure> {
        let section = plan.mall.as_ref().expect("the mall's settings hold a mall");
        let at = section.settings().keys_at();
        let KeysAt { authority, path } = at.expect("settings that were checked");
        let (verifier, file) = (verifier.clone(), data.join(FILE));
        let (authority, path) = (authority.to_owned(), path.to_owned());
        let known = std::fs::read(&file).unwrap_or_default();
        let has_copy = verifier.learn(&known).is_ok();
        let mut keys = KeySource { verifier, file, authority, path, known };
        if !has_copy {
            keys.wait().await?;
        }
        Ok(keys)
    }

    /// Asks until there are some.
    async fn wait(&mut self) -> Result<(), Failure> {
        let mut missed = 0;
        loop {
            match self.ask().await {
                Ok(text) => {
                    return self
                        .take(&text)
                        .map_err(|error| damaged("the copy of the keys", &error));
                }
                Err(why) if missed == SAID_AFTER => {
                    warn!(
                        at = self.authority,
                        why, "waits for the keys that tokens are verified with"
                    );
                }
                Err(_) => {}
            }
            missed += 1;
            tokio::time::sleep(MISSED_EVERY).await;
        }
    }

    /// Asks again from time to time, until the stop.
    pub(super) fn follow(mut self, stop: Stop) -> Loop {
        Box::pin(async move {
            loop {
                tokio::select! {
                    () = stop.stopped() => return,
                    () = tokio::time::sleep(ASKED_EVERY) => {}
                }
                // Whoever is away for a while has the keys that it had: those known are as good as ever.
                let Ok(text) = self.ask().await else { continue };
                if text != self.known {
                    info!(at = self.authority, "tokens are verified with other keys from here on");
                    if let Err(error) = self.take(&text) {
                        warn!(%error, "the copy of the keys cannot be written");
                    }
                }
            }
        })
    }

    async fn ask(&self) -> Result<Bytes, String> {
        let asked = exchange(&self.authority, &Method::GET, &self.path);
        let answer = tokio::time::timeout(ANSWER_WITHIN, asked).await;
        let answer = answer.map_err(|_| format!("no answer within {ANSWER_WITHIN:?}"))?;
        let (head, text) = answer.map_err(|error| error.to_string())?.into_parts();
        if head.status != StatusCode::OK {
            return Err(format!("it answers {}", head.status));
        }
        // Those it knows already it need not forget what it verified for.
        if text != self.known {
            self.verifier.learn(&text).map_err(|error| error.to_string())?;
        }
        Ok(text)
    }

    /// Keeps a copy.
    fn take(&mut self, text: &[u8]) -> std::io::Result<()> {
        let draft = self.file.with_extension("new");
        let mut out = folder::create_private(&draft)?;
        out.write_all(text)?;
        out.sync_all()?;
        std::fs::rename(&draft, &self.file)?;
        // Last: what was not kept is kept at the next look.
        self.known = text.to_vec();
        Ok(())
    }
}
