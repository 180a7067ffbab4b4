//! What a gateway and account share where each is a process of its own: a secret of the environment.
//!
//! In one process it is drawn at each start. In several somebody has to give it to both, and a settings file is
//! no place for it. Whoever shows it may ask a service without a token: the gateway, and the guard beside order.

use std::ops::RangeInclusive;

use crate::exit::Failure;

/// The variable that has it.
const VARIABLE: &str = "YEOUL_GATEWAY_SECRET";
/// Characters that it has at least, and at most.
const CHARS: RangeInclusive<usize> = 16..=255;

/// By what a service believes a gateway in another process, if the environment has it.
///
/// # Errors
/// It is no secret.
pub(crate) fn shared() -> Result<Option<String>, Failure> {
    let mut variables = chassis::settings::environment();
    let Some((_, secret)) = variables.find(|(name, _)| name == VARIABLE) else { return Ok(None) };
    let is_text = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if is_text && CHARS.contains(&secret.len()) {
        return Ok(Some(secret));
    }
    let (least, most) = (CHARS.start(), CHARS.end());
    let says = format!("{VARIABLE} is {least} to {most} visible ASCII characters");
    Err(Failure::input(says, "give the same one to every part"))
}
