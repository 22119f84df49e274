//! The program: everything it does is in the library.

fn main() -> std::process::ExitCode {
    chaos_proxy::cli::main()
}
