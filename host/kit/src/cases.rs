//! All cases, a file for each thing that the contract promises.

mod bodies;
mod concurrency;
mod conditions;
mod copy;
mod faults;
mod listing;
mod multipart;
mod objects;
mod places;
mod ranges;
mod tagging;

use crate::case::Case;

/// Makes a file's list of cases.
macro_rules! cases {
    ($($id:literal $needs:ident $contract:literal $ask:path;)*) => {
        pub(super) const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            id: $id,
            contract: $contract,
            needs: $crate::case::Needs::$needs,
            troubled: false,
            ask: |trial| Box::pin($ask(trial)),
        }),*];
    };
}
use cases;

/// Every case, in the order in which they are asked.
pub fn all() -> Vec<Case> {
    let files = [
        objects::CASES,
        ranges::CASES,
        conditions::CASES,
        places::CASES,
        bodies::CASES,
        concurrency::CASES,
        multipart::CASES,
        copy::CASES,
        tagging::CASES,
        listing::CASES,
        faults::CASES,
    ];
    files.into_iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_cases_have_one_id_and_each_says_what_is_promised() {
        let cases = all();
        let ids: BTreeSet<_> = cases.iter().map(|case| case.id).collect();
        assert_eq!(ids.len(), cases.len());
        for case in cases {
            assert!(case.id.contains('.') && case.contract.ends_with('.'), "{}", case.id);
        }
    }
}
