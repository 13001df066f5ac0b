//! Counts what is in a component before anything compiles it: whatever has too much of something is refused.

use wasmparser::{Parser, Payload};

/// Modules and components inside of each other.
const DEPTH: usize = 8;
/// Modules and components, those inside of others included.
const MODULES: u64 = 100;
/// Functions with a body, of all modules.
const FUNCTIONS: u64 = 100_000;
/// Bytes of one function: what compiling costs grows faster than this.
const FUNCTION_BYTES: u64 = 1 << 20;
/// Imports of all modules and components.
const IMPORTS: u64 = 10_000;
/// Exports of all modules and components.
const EXPORTS: u64 = 100_000;
/// Types of all modules and components.
const TYPES: u64 = 100_000;
/// Segments of data and elements.
const SEGMENTS: u64 = 100_000;
/// Custom sections: names and producers.
const CUSTOM: u64 = 1_000;

/// What was met so far.
#[derive(Default)]
struct Counts {
    modules: u64,
    functions: u64,
    imports: u64,
    exports: u64,
    types: u64,
    segments: u64,
    custom: u64,
}

/// Reads a component once from front to end, which takes no more time and memory than its
/// size allows.
///
/// # Errors
/// What it has too much of, or where it stops being one, as a sentence with what to do.
pub(crate) fn scan(bytes: &[u8]) -> Result<(), String> {
    let mut counts = Counts::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| malformed(bytes, &error))?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                if depth > DEPTH {
                    return Err(format!("it has components within components, more than {DEPTH} deep"));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        counts.add(&payload)?;
    }
    Ok(())
}

impl Counts {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), String> {
        let more = |so_far: &mut u64, found: u64, most: u64, what: &str| {
            *so_far = so_far.saturating_add(found);
            if *so_far > most {
                return Err(format!("it has more than {most} {what}: build it smaller"));
            }
            Ok(())
        };
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                more(&mut self.modules, 1, MODULES, "modules")
            }
            Payload::CodeSectionStart { count, .. } => {
                more(&mut self.functions, u64::from(*count), FUNCTIONS, "functions")
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len() as u64;
                if size > FUNCTION_BYTES {
                    return Err(format!("it has a function of {size} bytes; at most {FUNCTION_BYTES} are compiled"));
                }
                Ok(())
            }
            Payload::ImportSection(section) => more(&mut self.imports, u64::from(section.count()), IMPORTS, "imports"),
            Payload::ComponentImportSection(section) => {
                more(&mut self.imports, u64::from(section.count()), IMPORTS, "imports")
            }
            Payload::ExportSection(section) => more(&mut self.exports, u64::from(section.count()), EXPORTS, "exports"),
            Payload::ComponentExportSection(section) => {
                more(&mut self.exports, u64::from(section.count()), EXPORTS, "exports")
            }
            Payload::TypeSection(section) => more(&mut self.types, u64::from(section.count()), TYPES, "types"),
            Payload::ComponentTypeSection(section) => more(&mut self.types, u64::from(section.count()), TYPES, "types"),
            Payload::CoreTypeSection(section) => more(&mut self.types, u64::from(section.count()), TYPES, "types"),
            Payload::DataSection(section) => more(&mut self.segments, u64::from(section.count()), SEGMENTS, "segments"),
            Payload::ElementSection(section) => {
                more(&mut self.segments, u64::from(section.count()), SEGMENTS, "segments")
            }
            Payload::CustomSection(_) => more(&mut self.custom, 1, CUSTOM, "custom sections"),
            _ => Ok(()),
        }
    }
}

fn malformed(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> String {
    let (offset, size) = (error.offset(), bytes.len());
    if offset >= size || error.message().contains("unexpected end") {
        return format!(
            "it ends in the middle, after {size} bytes: copy it again, under another name at first, and rename it \
             when it is complete"
        );
    }
    let why = crate::log::printable(error.message(), 256);
    format!("it is damaged at byte {offset} ({why}): build or copy it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";

    fn with(parts: &[&[u8]]) -> Vec<u8> {
        [&[HEAD], parts].concat().concat()
    }

    #[test]
    fn an_empty_component_is_fine_and_half_of_one_is_not() {
        assert_eq!(scan(HEAD), Ok(()));
        assert!(scan(&with(&[&[0, 20, 1, b'x']])).is_err_and(|why| why.contains("copy it again")));
    }

    #[test]
    fn what_has_too_much_of_something_is_refused_by_its_name() {
        let section: &[u8] = &[0, 2, 1, b'x'];
        assert_eq!(scan(&with(&vec![section; 1_000])), Ok(()));
        assert!(scan(&with(&vec![section; 1_001])).is_err_and(|why| why.contains("1000 custom sections")));
        let nested = (0..9).fold(HEAD.to_vec(), |inner, _| {
            let size = u8::try_from(inner.len()).expect("a short component");
            with(&[&[4, size], &inner])
        });
        assert!(scan(&nested).is_err_and(|why| why.contains("8 deep")), "{:?}", scan(&nested));
        let module: &[u8] = &[1, 8, 0, b'a', b's', b'm', 1, 0, 0, 0];
        assert_eq!(scan(&with(&vec![module; 100])), Ok(()));
        assert!(scan(&with(&vec![module; 101])).is_err_and(|why| why.contains("100 modules")));
    }

    #[test]
    fn a_count_that_is_a_lie_is_refused_without_believing_it() {
        // A module whose code section claims four billion functions.
        let module = b"\0asm\x01\0\0\0\x0a\x05\xff\xff\xff\xff\x0f";
        let size = u8::try_from(module.len()).expect("a short module");
        assert!(scan(&with(&[&[1, size], module])).is_err());
    }
}
