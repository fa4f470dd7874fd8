fn main() -> std::process::ExitCode {
    pedesis::cli::main()
}
