//! How figures are called and written for people.

/// What a figure is called at the head of a column.
pub(crate) fn label(figure: &str) -> String {
    let known = match figure {
        "cycles_per_s" => "cycles/s",
        "holds_per_s" => "holds/s",
        "extends_per_s" => "extends/s",
        "commands_per_s" => "commands/s",
        "commands_per_cycle" => "commands/cycle",
        "client_cpu_per_10k_s" => "client CPU s/10k",
        "server_cpu_per_10k_s" => "server CPU s/10k",
        "client_cpu_share" => "client cores",
        "server_cpu_share" => "server cores",
        "bytes_per_lock" => "bytes/lock",
        "acquire_to_echo" => "acquire/echo",
        "votes_late_s" => "votes late, s",
        "asked_again_s" => "asked again, s",
        other => return unit(other),
    };
    known.to_owned()
}

fn unit(figure: &str) -> String {
    match figure.strip_suffix("_us") {
        Some(name) => format!("{}, us", name.replace('_', " ")),
        None => figure.replace('_', " "),
    }
}

/// Three digits that say something, and no more.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(label("acquire_p50_us"), "acquire p50, us");
        assert_eq!(label("cycles_per_s"), "cycles/s");
        let numbers = [0.0, 0.001, 0.123, 9.87, 12.345, 5_432.1].map(number);
        assert_eq!(numbers, ["0", "0.0010", "0.12", "9.87", "12.3", "5432"]);
    }
}
