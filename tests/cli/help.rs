//! Every command teaches itself.

use clap::CommandFactory;
use stoop::cli::Cli;

use crate::stage::Stage;

#[test]
fn the_help_of_each_command_is_printed_and_is_no_failure() {
    let stage = Stage::empty();
    let whole = stage.run(&["--help"]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(whole.out.contains(name), "{name} is missing: {}", whole.out);
        let ran = stage.run(&[name, "--help"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("Usage: stoop") && ran.out.contains("Example"), "{}", ran.out);
        assert_eq!(ran.err, "");
    }
}

#[test]
fn an_argument_that_does_not_exist_is_a_2_on_standard_error() {
    let ran = Stage::empty().run(&["check", "--clutser"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("--cluster"), "{}", ran.err);
}
