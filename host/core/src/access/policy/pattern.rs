//! Texts with wildcards and [policy variables](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).

use super::steps::Steps;

/// A text in which `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    One(char),
    AnyOne,
    AnyNumber,
}

impl Glob {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.chars().map(token).collect())
    }

    /// Whether the whole text fits. Takes time in the product of both lengths at most, and not
    /// more than what is left.
    pub(super) fn matches(&self, text: &str, steps: &Steps) -> bool {
        let text: Vec<char> = text.chars().collect();
        if !steps.take(text.len() + 1) {
            return false;
        }
        let (mut at, mut position) = (0, 0);
        // Where the last `*` was, and how much it stands for so far.
        let mut star: Option<(usize, usize)> = None;
        while position < text.len() {
            if !steps.take(1) {
                return false;
            }
            match (self.0.get(at), text.get(position)) {
                (Some(Token::AnyNumber), _) => {
                    star = Some((at, position));
                    at += 1;
                    continue;
                }
                (Some(Token::AnyOne), _) => {}
                (Some(Token::One(wanted)), Some(actual)) if wanted == actual => {}
                _ => {
                    let Some((star_at, covered)) = star else { return false };
                    star = Some((star_at, covered + 1));
                    (at, position) = (star_at + 1, covered + 1);
                    continue;
                }
            }
            at += 1;
            position += 1;
        }
        self.0.get(at..).unwrap_or_default().iter().all(|token| *token == Token::AnyNumber)
    }

    /// What stands between colons, in at most so many parts.
    pub(super) fn parts(&self, most: usize) -> Vec<Self> {
        self.0.splitn(most, |token| *token == Token::One(':')).map(|part| Self(part.to_vec())).collect()
    }
}

fn token(character: char) -> Token {
    match character {
        '*' => Token::AnyNumber,
        '?' => Token::AnyOne,
        other => Token::One(other),
    }
}

/// A glob with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Stands for itself even where wildcards mean something.
    Literal(char),
    Variable {
        key: String,
        default: Option<String>,
    },
}

impl Template {
    /// Reads a text; without `variables` it has none, as in policies of 2008.
    pub(super) fn parse(text: &str, variables: bool) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while variables && let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            let Some(end) = from.find('}') else { break };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(variable(from.get(2..end).unwrap_or_default()));
            rest = from.get(end + 1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self(pieces)
    }

    /// With its variables replaced; `None` when one has no value, and when the result could
    /// only fit texts of more than `longest` bytes.
    pub(super) fn resolve(&self, longest: usize, value: &dyn Fn(&str) -> Vec<String>) -> Option<Glob> {
        let (mut tokens, mut stars) = (Vec::new(), 0);
        for piece in &self.0 {
            // Each token but a star takes a byte at least.
            if tokens.len() - stars > longest {
                return None;
            }
            match piece {
                Piece::Text(text) => {
                    tokens.extend(text.chars().map(token));
                    stars += text.matches('*').count();
                }
                Piece::Literal(character) => tokens.push(Token::One(*character)),
                Piece::Variable { key, default } => {
                    // A variable of several values cannot stand in a text.
                    let text = match value(key).as_slice() {
                        [one] => one.clone(),
                        _ => default.clone()?,
                    };
                    tokens.extend(text.chars().map(Token::One));
                }
            }
        }
        Some(Glob(tokens))
    }

    /// With its variables replaced, for comparisons without wildcards; `None` as of `resolve`.
    pub(super) fn text(&self, longest: usize, value: &dyn Fn(&str) -> Vec<String>) -> Option<String> {
        let glob = self.resolve(longest, value)?;
        let character = |token: &Token| match token {
            Token::One(character) => *character,
            Token::AnyOne => '?',
            Token::AnyNumber => '*',
        };
        Some(glob.0.iter().map(character).collect())
    }

    /// Whether a variable in it stands for nothing.
    pub(super) fn lacks_a_value(&self, value: &dyn Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().any(|piece| match piece {
            Piece::Text(_) | Piece::Literal(_) => false,
            Piece::Variable { key, default } => default.is_none() && value(key).len() != 1,
        })
    }

    /// Whether it can stand for one text only.
    pub(super) fn is_fixed(&self) -> bool {
        self.0.iter().all(|piece| match piece {
            Piece::Text(text) => !text.contains(['*', '?']),
            Piece::Literal(_) => true,
            Piece::Variable { .. } => false,
        })
    }
}

fn variable(content: &str) -> Piece {
    let mut characters = content.chars();
    if let (Some(special @ ('*' | '?' | '$')), None) = (characters.next(), characters.next()) {
        return Piece::Literal(special);
    }
    let (key, default) = match content.split_once(',') {
        Some((key, default)) => (key, Some(default.trim().trim_matches('\'').to_owned())),
        None => (content, None),
    };
    Piece::Variable { key: key.trim().to_owned(), default }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nothing(_: &str) -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn wildcards_stand_for_what_they_say() {
        for (pattern, text, fits) in [
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/b", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxxbxb", true),
            ("*a*b", "xaxxbx", false),
            ("", "", true),
            ("**", "", true),
        ] {
            assert_eq!(Glob::parse(pattern).matches(text, &Steps::default()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn variables_are_replaced_and_never_read_as_wildcards() {
        let user = |key: &str| if key == "aws:username" { vec!["*".to_owned()] } else { Vec::new() };
        let steps = Steps::default();
        let home = Template::parse("home/${aws:username}/*", true);
        let glob = home.resolve(100, &user).unwrap();
        assert!(glob.matches("home/*/x", &steps) && !glob.matches("home/anna/x", &steps));
        assert!(Template::parse("${absent}", true).resolve(100, &nothing).is_none());
        assert_eq!(Template::parse("${absent, 'x'}", true).text(10, &nothing).unwrap(), "x");
        assert!(!Template::parse("${*}", true).resolve(100, &nothing).unwrap().matches("a", &steps));
        assert_eq!(Template::parse("${aws:username}", false).text(100, &user).unwrap(), "${aws:username}");
    }

    #[test]
    fn what_is_compared_is_bounded() {
        let long = |_: &str| vec!["a".repeat(4000)];
        let template = Template::parse(&format!("*{}b", "${aws:UserAgent}".repeat(1000)), true);
        assert!(template.resolve(4000, &long).is_none(), "longer than anything that it could fit");
        let steps = Steps::default();
        let glob = Glob::parse(&format!("*{}b", "a".repeat(8000)));
        assert!(!glob.matches(&"a".repeat(16_000), &steps));
        assert!(steps.are_spent());
        assert!(!Glob::parse("*").matches("a", &steps), "nothing fits any more");
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_any_part_of_it_starred(text in "[a-c/]{0,12}", from in 0_usize..12, to in 0_usize..12) {
            prop_assert!(Glob::parse(&text).matches(&text, &Steps::default()));
            let (from, to) = (from.min(text.len()), to.min(text.len()));
            let (from, to) = (from.min(to), from.max(to));
            let starred = format!("{}*{}", &text[..from], &text[to..]);
            prop_assert!(Glob::parse(&starred).matches(&text, &Steps::default()));
        }

        #[test]
        fn a_glob_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn defined(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.first(), text.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => defined(&pattern[1..], text) || (!text.is_empty() && defined(pattern, &text[1..])),
                    (Some(b'?'), Some(_)) => defined(&pattern[1..], &text[1..]),
                    (Some(a), Some(b)) if a == b => defined(&pattern[1..], &text[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(Glob::parse(&pattern).matches(&text, &Steps::default()), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
