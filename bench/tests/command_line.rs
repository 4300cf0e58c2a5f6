//! The program as it is called.

use std::process::Command;

#[test]
fn the_help_names_every_measurement() {
    let help = Command::new(env!("CARGO_BIN_EXE_noom-bench"))
        .arg("--help")
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success(), "{text}");
    for command in ["attack", "chat", "media", "pages"] {
        assert!(
            text.contains(&format!("  {command} ")),
            "{command} in {text}"
        );
    }
}
