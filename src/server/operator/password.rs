//! The rules of the operator's password.

/// Shortest password, in characters.
pub const MIN_CHARS: usize = 10;
/// Longest password, in characters. 200: more than a password manager makes.
pub const MAX_CHARS: usize = 200;

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordProblem {
    /// It has fewer than [`MIN_CHARS`] characters.
    TooShort,
    /// It has more than [`MAX_CHARS`] characters.
    TooLong,
    /// It was typed in two different ways.
    Differs,
}

/// Checks a new password, which was typed twice.
pub fn check(password: &str, again: &str) -> Result<(), PasswordProblem> {
    let chars = password.chars().take(MAX_CHARS + 1).count();
    match chars {
        _ if password != again => Err(PasswordProblem::Differs),
        ..MIN_CHARS => Err(PasswordProblem::TooShort),
        MIN_CHARS..=MAX_CHARS => Ok(()),
        _ => Err(PasswordProblem::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_ten_to_two_hundred_characters_and_is_typed_twice() {
        let twice = |password: &str| check(password, password);
        assert_eq!(twice("123456789"), Err(PasswordProblem::TooShort));
        assert_eq!(twice("비밀번호는열글자예요"), Ok(()));
        assert_eq!(twice(&"x".repeat(200)), Ok(()));
        assert_eq!(twice(&"x".repeat(201)), Err(PasswordProblem::TooLong));
        let differs = check("0123456789", "0123456780");
        assert_eq!(differs, Err(PasswordProblem::Differs));
    }
}
