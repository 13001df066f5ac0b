//! [Conditions](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html)
//! of statements.

use super::MalformedPolicy;
use super::pattern::{Glob, Template};
use super::request::Request;
use super::steps::Steps;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

/// One key of one operator.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    operator: Operator,
    /// `...Not...`: none of the values may match.
    is_negated: bool,
    if_exists: bool,
    quantifier: Quantifier,
    key: String,
    values: Vec<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// The key has one value.
    One,
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Text { ignores_case: bool },
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Address,
    Arn,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Condition {
    pub(super) fn parse(operator: &str, key: &str, values: Vec<Template>) -> Result<Self, MalformedPolicy> {
        let unknown = || MalformedPolicy(format!("Invalid Condition type : {operator}"));
        let (quantifier, rest) = match operator.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
            Some(_) => return Err(unknown()),
            None => (Quantifier::One, operator),
        };
        let (rest, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |rest| (rest, true));
        let (kind, is_negated) = kind(rest).ok_or_else(unknown)?;
        let known =
            key.split_once(':').is_some_and(|(prefix, name)| matches!(prefix, "aws" | "s3") && !name.is_empty());
        if !known || values.is_empty() {
            return Err(MalformedPolicy("Policy has an invalid condition key".to_owned()));
        }
        Ok(Self { operator: kind, is_negated, if_exists, quantifier, key: key.to_owned(), values })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether it can only hold for one known value of its key.
    pub(super) fn is_fixed(&self) -> bool {
        !self.is_negated
            && !self.if_exists
            && self.quantifier != Quantifier::ForAllValues
            && matches!(self.operator, Operator::Text { .. } | Operator::Like | Operator::Arn | Operator::Address)
            && self.values.iter().all(Template::is_fixed)
    }

    /// The values as texts, for who looks at addresses.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.values.iter().filter_map(|value| value.text(usize::MAX, &|_| Vec::new()))
    }

    pub(super) fn holds(&self, request: &Request<'_>) -> bool {
        let actual = request.values(&self.key);
        let value = |key: &str| request.values(key);
        if self.operator == Operator::Null {
            let is_absent = actual.is_empty();
            return self.texts().any(|text| text.eq_ignore_ascii_case("true") == is_absent);
        }
        if actual.is_empty() {
            // Any value of none is none.
            let holds_of_none = self.is_negated && self.quantifier == Quantifier::One;
            return self.if_exists || holds_of_none || self.quantifier == Quantifier::ForAllValues;
        }
        let one = |actual: &String| {
            let matches =
                self.values.iter().any(|wanted| self.operator.matches(actual, wanted, &value, &request.steps));
            matches != self.is_negated
        };
        match self.quantifier {
            Quantifier::One | Quantifier::ForAllValues => actual.iter().all(one),
            Quantifier::ForAnyValue => actual.iter().any(one),
        }
    }
}

fn kind(name: &str) -> Option<(Operator, bool)> {
    let text = Operator::Text { ignores_case: false };
    let folded = Operator::Text { ignores_case: true };
    Some(match name {
        "StringEquals" => (text, false),
        "StringNotEquals" => (text, true),
        "StringEqualsIgnoreCase" => (folded, false),
        "StringNotEqualsIgnoreCase" => (folded, true),
        "StringLike" => (Operator::Like, false),
        "StringNotLike" => (Operator::Like, true),
        "NumericEquals" => (Operator::Number(Order::Equal), false),
        "NumericNotEquals" => (Operator::Number(Order::Equal), true),
        "NumericLessThan" => (Operator::Number(Order::Less), false),
        "NumericLessThanEquals" => (Operator::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Operator::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Operator::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Operator::Date(Order::Equal), false),
        "DateNotEquals" => (Operator::Date(Order::Equal), true),
        "DateLessThan" => (Operator::Date(Order::Less), false),
        "DateLessThanEquals" => (Operator::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Operator::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Operator::Date(Order::GreaterOrEqual), false),
        "Bool" => (Operator::Bool, false),
        "BinaryEquals" => (Operator::Binary, false),
        "IpAddress" => (Operator::Address, false),
        "NotIpAddress" => (Operator::Address, true),
        "ArnEquals" | "ArnLike" => (Operator::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Operator::Arn, true),
        "Null" => (Operator::Null, false),
        _ => return None,
    })
}

impl Operator {
    fn matches(self, actual: &str, wanted: &Template, value: &dyn Fn(&str) -> Vec<String>, steps: &Steps) -> bool {
        if matches!(self, Self::Like | Self::Arn) {
            let Some(glob) = wanted.resolve(actual.len(), value) else { return false };
            return if self == Self::Arn { arn_matches(actual, &glob, steps) } else { glob.matches(actual, steps) };
        }
        if !steps.take(actual.len() + 1) {
            return false;
        }
        // Folding may change lengths, and numbers have more than one form.
        let longest = actual.len().saturating_mul(2).saturating_add(64);
        let Some(wanted) = wanted.text(longest, value) else { return false };
        match self {
            Self::Text { ignores_case: true } => actual.to_lowercase() == wanted.to_lowercase(),
            Self::Text { ignores_case: false } | Self::Binary => actual == wanted,
            Self::Number(order) => compare(order, actual.parse::<f64>().ok(), wanted.parse::<f64>().ok()),
            Self::Date(order) => compare(order, date(actual), date(&wanted)),
            Self::Bool => actual.eq_ignore_ascii_case(&wanted),
            Self::Address => network_contains(&wanted, actual).unwrap_or(false),
            Self::Like | Self::Arn | Self::Null => false,
        }
    }
}

fn compare<T: PartialOrd>(order: Order, left: Option<T>, right: Option<T>) -> bool {
    left.zip(right).is_some_and(|(left, right)| order.holds(&left, &right))
}

/// A date of ISO 8601, or seconds since 1970.
fn date(text: &str) -> Option<OffsetDateTime> {
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Iso8601::DEFAULT)).ok().or_else(
        || {
            let format = time::macros::format_description!("[year]-[month]-[day]");
            time::Date::parse(text, format).ok().map(|date| date.midnight().assume_utc())
        },
    )
}

/// The six parts of an ARN are compared one by one: a wildcard does not reach over a colon.
fn arn_matches(actual: &str, wanted: &Glob, steps: &Steps) -> bool {
    let (wanted, actual): (Vec<Glob>, Vec<&str>) = (wanted.parts(6), actual.splitn(6, ':').collect());
    wanted.len() == actual.len() && wanted.iter().zip(actual).all(|(wanted, actual)| wanted.matches(actual, steps))
}

/// A network as `address/bits`, or one address.
pub(super) fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u32>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    (bits <= width).then_some((address, bits))
}

fn network_contains(network_text: &str, address: &str) -> Option<bool> {
    let (network, bits) = network(network_text)?;
    let prefix = |address: u128, width: u32| address.checked_shr(width - bits).unwrap_or(0);
    Some(match (network, address.parse::<IpAddr>().ok()?) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            prefix(u32::from(network).into(), 32) == prefix(u32::from(address).into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => prefix(network.into(), 128) == prefix(address.into(), 128),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "8.8.8.8", false),
        ] {
            assert_eq!(network_contains(network, address), Some(inside), "{network} {address}");
        }
        assert_eq!(network("10.0.0.0/33"), None);
    }

    #[test]
    fn dates_are_read_in_all_their_forms() {
        let expected = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        for text in ["2023-11-14T22:13:20Z", "1700000000", "2023-11-14T23:13:20+01:00"] {
            assert_eq!(date(text), Some(expected), "{text}");
        }
        assert!(date("2023-11-14").unwrap() < expected);
        assert_eq!(date("soon"), None);
    }

    #[test]
    fn operators_have_to_be_known() {
        let value = || vec![Template::parse("x", true)];
        assert!(Condition::parse("ForAnyValue:StringLikeIfExists", "aws:UserAgent", value()).is_ok());
        for (operator, key) in [("StringIs", "aws:UserAgent"), ("ForSome:Bool", "aws:UserAgent"), ("Bool", "ec2:x")] {
            assert!(Condition::parse(operator, key, value()).is_err(), "{operator} {key}");
        }
    }
}
