//~ exit 7

use std::process::ExitCode;

#[cloud::main]
fn main() -> ExitCode {
    match cloud::call(|x: u64| x + 1, 6).wait() {
        Ok(seven) => ExitCode::from(seven as u8),
        Err(_) => ExitCode::FAILURE,
    }
}
