//! Counts inside of counts: details, modalities, compactions.

use crate::Error;
use crate::json::{Kind, Reader};

/// A count; anything but a whole number that is not negative leaves the slot alone.
pub(super) fn count(value: &mut Reader<'_>, slot: &mut Option<u64>) -> Result<(), Error> {
    if value.kind() != Kind::Number {
        return value.skip();
    }
    let text = value.number()?;
    let number = text.parse::<u64>().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|number| (0.0..9e15).contains(number))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
        Some(number as u64)
    });
    if number.is_some() {
        *slot = number;
    }
    Ok(())
}

/// A nested object; anything else is skipped.
pub(super) fn details<'a>(
    value: &mut Reader<'a>,
    each: impl FnMut(&str, &mut Reader<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    if value.kind() == Kind::Object { value.object(each) } else { value.skip() }
}

pub(super) fn modalities(
    value: &mut Reader<'_>,
    audio: &mut Option<u64>,
    image: &mut Option<u64>,
) -> Result<(), Error> {
    if value.kind() != Kind::Array {
        return value.skip();
    }
    value.array(|_, entry| {
        let mut modality = None;
        let mut tokens = None;
        details(entry, |key, value| match key {
            "modality" if value.kind() == Kind::String => {
                modality = Some(value.str()?);
                Ok(())
            }
            "tokenCount" => count(value, &mut tokens),
            _ => Ok(()),
        })?;
        match modality.as_deref() {
            Some("AUDIO") if tokens.is_some() => *audio = tokens,
            Some("IMAGE") if tokens.is_some() => *image = tokens,
            _ => {}
        }
        Ok(())
    })
}

pub(super) fn compaction(value: &mut Reader<'_>) -> Result<Option<(u64, u64)>, Error> {
    let mut sum: Option<(u64, u64)> = None;
    value.array(|_, entry| {
        let mut is_compaction = false;
        let (mut input, mut output) = ([None; 3], None);
        let [plain, read, write] = &mut input;
        details(entry, |key, value| match key {
            "type" if value.kind() == Kind::String => {
                is_compaction = value.str()? == "compaction";
                Ok(())
            }
            "input_tokens" => count(value, plain),
            "cache_read_input_tokens" => count(value, read),
            "cache_creation_input_tokens" => count(value, write),
            "output_tokens" => count(value, &mut output),
            _ => Ok(()),
        })?;
        if is_compaction {
            let (inputs, outputs) = sum.unwrap_or_default();
            let inputs = input.iter().flatten().fold(inputs, |total, part| total.saturating_add(*part));
            sum = Some((inputs, outputs.saturating_add(output.unwrap_or(0))));
        }
        Ok(())
    })?;
    Ok(sum)
}
