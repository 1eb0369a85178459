package builtin

import (
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones must be known on machines without a zone database

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// TimeAddMonths moves a time by months.
var TimeAddMonths = &Func{
	Name: "time.add_months",
	Doc: `The time that many months later (or earlier, for a negative number) at the same time of day in a time zone. Where the month is too short for the day, its last day is taken.
time.add_months(timestamp('2024-01-31T12:00:00Z'), 1, 'UTC') // timestamp('2024-02-29T12:00:00Z')
time.add_months(timestamp('2025-03-31T12:00:00Z'), -1, 'UTC') // timestamp('2025-02-28T12:00:00Z')`,
	Overloads: []Overload{{ID: "proviso_time_add_months", In: []*cel.Type{cel.TimestampType, cel.IntType, cel.StringType}, Out: cel.TimestampType, Cost: 5, Eval: eval3(addMonths)}},
}

// TimeBetween tells whether a time of day lies in an interval.
var TimeBetween = &Func{
	Name: "time.between",
	Doc: `Tells whether the time of day of a timestamp in a time zone lies in [from, to), given as hh:mm. An interval whose end is before its start runs over midnight; equal ends are an error.
time.between(timestamp('2025-03-01T14:30:00Z'), 'America/New_York', '09:00', '17:00') // true
time.between(timestamp('2025-03-01T23:30:00Z'), 'UTC', '22:00', '06:00') // true
time.between(timestamp('2025-03-01T17:00:00Z'), 'UTC', '09:00', '17:00') // false`,
	Overloads: []Overload{{ID: "proviso_time_between", In: []*cel.Type{cel.TimestampType, cel.StringType, cel.StringType, cel.StringType}, Out: cel.BoolType, Cost: 5, Eval: func(args ...ref.Val) ref.Val {
		to, err := native[string](args[3])
		if err != nil {
			return types.WrapErr(err)
		}
		return eval3(func(t time.Time, tz, from string) (bool, error) { return timeBetween(t, tz, from, to) })(args...)
	}}},
}

// TimeDate is the calendar date of a timestamp.
var TimeDate = &Func{
	Name: "time.date",
	Doc: `The calendar date of a timestamp in a time zone, as yyyy-mm-dd, so that texts compare as dates.
time.date(timestamp('2025-03-01T03:00:00Z'), 'America/New_York') // '2025-02-28'
time.date(timestamp('2025-03-01T03:00:00Z'), 'UTC') // '2025-03-01'`,
	Overloads: []Overload{{ID: "proviso_time_date", In: inZone, Out: cel.StringType, Cost: 5, Eval: eval2(func(t time.Time, tz string) (string, error) {
		return formatIn(t, tz, time.DateOnly)
	})}},
}

// TimeDays counts calendar days.
var TimeDays = &Func{
	Name: "time.days",
	Doc: `The number of calendar days from one date to another, negative where the second is earlier: the number of midnights between them. Dates are texts yyyy-mm-dd, or timestamps with the time zone to read them in.
time.days('2025-02-28', '2025-03-01') // 1
time.days(timestamp('2025-03-01T23:00:00Z'), timestamp('2025-03-02T01:00:00Z'), 'UTC') // 1
time.days(timestamp('2025-03-01T23:00:00Z'), timestamp('2025-03-02T01:00:00Z'), 'America/New_York') // 0`,
	Overloads: []Overload{
		{ID: "proviso_time_days_string", In: twoTexts, Out: cel.IntType, Cost: 5, Eval: eval2(daysBetween)},
		{ID: "proviso_time_days_timestamp", In: []*cel.Type{cel.TimestampType, cel.TimestampType, cel.StringType}, Out: cel.IntType, Cost: 5, Eval: eval3(func(a, b time.Time, tz string) (int64, error) {
			from, err := formatIn(a, tz, time.DateOnly)
			if err != nil {
				return 0, err
			}
			to, err := formatIn(b, tz, time.DateOnly)
			if err != nil {
				return 0, err
			}
			return daysBetween(from, to)
		})},
	},
}

// TimeHour is the hour of the day of a timestamp.
var TimeHour = &Func{
	Name: "time.hour",
	Doc: `The hour of the day of a timestamp in a time zone, from 0 to 23.
time.hour(timestamp('2025-03-01T03:59:00Z'), 'America/New_York') // 22`,
	Overloads: []Overload{{ID: "proviso_time_hour", In: inZone, Out: cel.IntType, Cost: 5, Eval: eval2(func(t time.Time, tz string) (int64, error) {
		z, err := Zone(tz)
		if err != nil {
			return 0, err
		}
		return int64(t.In(z).Hour()), nil
	})}},
}

// TimeParse reads a date or a date with a time.
var TimeParse = &Func{
	Name: "time.parse",
	Doc: `The timestamp that an ISO 8601 text names: yyyy-mm-dd, or that with Thh:mm, Thh:mm:ss or a fraction of a second, and Z or an offset such as +02:00.
A text without an offset is read in the time zone given; without a time zone it is an error. A date alone is its first moment. A time that the zone skips is an error; of a time that occurs twice it is the first.
time.parse('2025-03-01', 'America/New_York') // timestamp('2025-03-01T05:00:00Z')
time.parse('2025-03-01T10:30:00+01:00') // timestamp('2025-03-01T09:30:00Z')
time.parse('2025-03-01T10:30') // error: no offset`,
	Overloads: []Overload{
		{ID: "proviso_time_parse", In: text, Out: cel.TimestampType, Cost: 5, Eval: eval1(func(s string) (time.Time, error) { return parseTime(s, "") })},
		{ID: "proviso_time_parse_zone", In: twoTexts, Out: cel.TimestampType, Cost: 5, Eval: eval2(parseTime)},
	},
}

// TimeWeekday is the day of the week of a timestamp.
var TimeWeekday = &Func{
	Name: "time.weekday",
	Doc: `The day of the week of a timestamp in a time zone, in English and lower case.
time.weekday(timestamp('2025-03-01T03:00:00Z'), 'America/New_York') // 'friday'
time.weekday(timestamp('2025-03-01T03:00:00Z'), 'UTC') in ['saturday', 'sunday'] // true`,
	Overloads: []Overload{{ID: "proviso_time_weekday", In: inZone, Out: cel.StringType, Cost: 5, Eval: eval2(func(t time.Time, tz string) (string, error) {
		day, err := formatIn(t, tz, "Monday")
		return strings.ToLower(day), err
	})}},
}

var inZone = []*cel.Type{cel.TimestampType, cel.StringType}

// zones keeps what was resolved, because resolving may read files. There are some 600 names, and only those that exist are kept.
var zones sync.Map // name → *time.Location

// Zone returns the time zone of an IANA name such as Europe/Berlin, or UTC. The local zone of the machine has no name here.
// A compiler calls it for the names that stand in a pack, so that deciding finds them resolved.
func Zone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	if name == "" || strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("time zone %s is not an IANA name such as Europe/Berlin", quote(name))
	}
	z, err := time.LoadLocation(name)
	if err != nil || z.String() != name {
		return nil, fmt.Errorf("time zone %s is not known; use an IANA name such as Europe/Berlin", quote(name))
	}
	zones.Store(name, z)
	return z, nil
}

func formatIn(t time.Time, tz, layout string) (string, error) {
	z, err := Zone(tz)
	if err != nil {
		return "", err
	}
	return t.In(z).Format(layout), nil
}

func addMonths(t time.Time, n int64, tz string) (time.Time, error) {
	z, err := Zone(tz)
	if err != nil {
		return time.Time{}, err
	}
	const most = 12 * 1000
	if n < -most || n > most {
		return time.Time{}, fmt.Errorf("%d months are more than %d", n, most)
	}
	t = t.In(z)
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return representable(time.Date(first.Year(), first.Month(), min(t.Day(), last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), z))
}

// representable keeps results inside the years that CEL timestamps have.
func representable(t time.Time) (time.Time, error) {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return time.Time{}, fmt.Errorf("year %d is not between 1 and 9999", y)
	}
	return t, nil
}

func timeBetween(t time.Time, tz, from, to string) (bool, error) {
	now, err := formatIn(t, tz, "15:04")
	if err != nil {
		return false, err
	}
	for _, c := range []string{from, to} {
		if x, err := time.Parse("15:04", c); err != nil || x.Format("15:04") != c {
			return false, fmt.Errorf("%s is not a time of day such as 09:30", quote(c))
		}
	}
	switch {
	case from == to:
		return false, fmt.Errorf("the interval begins and ends at %s, which can mean all day or never", from)
	case from < to:
		return from <= now && now < to, nil
	}
	return from <= now || now < to, nil
}

func daysBetween(from, to string) (int64, error) {
	a, err := parseDate(from)
	if err != nil {
		return 0, err
	}
	b, err := parseDate(to)
	if err != nil {
		return 0, err
	}
	return (b.Unix() - a.Unix()) / (24 * 60 * 60), nil
}

func parseDate(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() == 0 {
		return time.Time{}, fmt.Errorf("%s is not a date such as 2025-03-01", quote(s))
	}
	return t, nil
}

// isoLayouts are the forms of a text without an offset. Parsing accepts a fraction after seconds by itself.
var isoLayouts = []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05"}

func parseTime(s, tz string) (time.Time, error) {
	if strings.Contains(s, ",") { // Go's parser takes a comma for a decimal point
		return time.Time{}, notTime(s)
	}
	for _, l := range []string{"2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(l, s); err == nil {
			return representable(t)
		}
	}
	for _, l := range isoLayouts {
		wall, err := time.Parse(l, s)
		if err != nil {
			continue
		}
		if tz == "" {
			return time.Time{}, fmt.Errorf("%s has no offset; give the time zone to read it in", quote(s))
		}
		z, err := Zone(tz)
		if err != nil {
			return time.Time{}, err
		}
		return atWall(wall, z, l == time.DateOnly)
	}
	return time.Time{}, notTime(s)
}

func notTime(s string) error {
	return fmt.Errorf("%s is not a date or time such as 2025-03-01 or 2025-03-01T10:30:00Z", quote(s))
}

// atWall returns the first moment at which the clocks of a zone show a wall time. Zones skip and repeat times when they change their offset; a date whose midnight is skipped begins when the day does.
func atWall(wall time.Time, z *time.Location, date bool) (time.Time, error) {
	_, before := wall.Add(-24 * time.Hour).In(z).Zone()
	_, after := wall.Add(24 * time.Hour).In(z).Zone()
	earliest, latest := max(before, after), min(before, after)
	for _, offset := range []int{earliest, latest} {
		t := wall.Add(-time.Duration(offset) * time.Second).In(z)
		if _, o := t.Zone(); o == offset {
			return representable(t)
		}
	}
	if date {
		return representable(wall.Add(-time.Duration(latest) * time.Second).In(z))
	}
	return time.Time{}, fmt.Errorf("%s does not exist in %s, because the clocks skip it", wall.Format("2006-01-02T15:04:05"), z)
}
