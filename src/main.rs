fn main() -> std::process::ExitCode {
    git_vermas::cli::run(std::env::args_os())
}
