//! The one binary; everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    agentframer_server::cli::main()
}
