//! Man pages and shell completions of a program, made from its command line as clap knows it.

use std::{fs, io, path::Path};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// Writes below `dir` the man pages of `command` and its visible subcommands (`man/NAME.SECTION`) and completions for
/// bash, zsh and fish, laid out as under `/usr/share`. Says in a line what it wrote.
pub fn write(command: Command, section: &str, dir: &Path) -> io::Result<String> {
    // Every page has its --help; pages of a `help` command would repeat them.
    let mut command = command.disable_help_subcommand(true);
    let name = command.get_name().to_owned();
    let completions = [
        (Shell::Bash, "bash-completion/completions", name.clone()),
        (Shell::Zsh, "zsh/vendor-completions", format!("_{name}")),
        (Shell::Fish, "fish/vendor_completions.d", format!("{name}.fish")),
    ];
    for (shell, below, file) in completions {
        let below = dir.join(below);
        fs::create_dir_all(&below)?;
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, &name, &mut text);
        fs::write(below.join(file), text)?;
    }
    let man = dir.join(format!("man/man{section}"));
    fs::create_dir_all(&man)?;
    command.build();
    let pages = pages(&command, &name, section, &man)?;
    Ok(format!("{name}: {pages} man pages, completions for bash, zsh and fish in {}", dir.display()))
}

/// One for the command, one for each of its subcommands, and so on; hidden ones have none.
fn pages(command: &Command, name: &str, section: &str, dir: &Path) -> io::Result<usize> {
    let mut written = 1;
    let mut text = Vec::new();
    // Each page names its command in full, as the files are named.
    let page = command.clone().display_name(name.to_owned());
    Man::new(page).section(section).title(name.to_owned()).render(&mut text)?;
    fs::write(dir.join(format!("{name}.{section}")), text)?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        written += pages(inner, &format!("{name}-{}", inner.get_name()), section, dir)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use clap::Arg;

    use super::*;

    #[test]
    fn a_page_for_each_visible_command_and_completions_for_each_shell() {
        let dir = tempfile::tempdir().unwrap();
        let inner = Command::new("list").about("Lists them").arg(Arg::new("all").long("all"));
        let command = Command::new("mill").version("1").about("Grinds").subcommand(inner);
        let command = command.subcommand(Command::new("secret").hide(true));
        let said = write(command, "1", dir.path()).unwrap();
        assert!(said.starts_with("mill: 2 man pages"), "{said}");
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        assert!(read("man/man1/mill.1").contains("Grinds"));
        let page = read("man/man1/mill-list.1");
        assert!(page.contains("Lists them") && page.contains(r"\-\-all"), "{page}");
        assert!(!dir.path().join("man/man1/mill-secret.1").exists());
        assert!(read("bash-completion/completions/mill").contains("--all"));
        assert!(read("zsh/vendor-completions/_mill").starts_with("#compdef mill"));
        assert!(read("fish/vendor_completions.d/mill.fish").contains("-l all"));
    }
}
