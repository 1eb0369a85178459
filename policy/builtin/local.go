package builtin

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// ZoneOrOffset resolves an IANA name as Zone does, or an offset such as +02:00 or 02:00, which CEL's own functions know as well.
func ZoneOrOffset(name string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(name, offset), nil
	}
	if t, err := time.Parse("15:04", name); err == nil {
		return time.FixedZone(name, t.Hour()*3600+t.Minute()*60), nil
	}
	return Zone(name)
}

// LocalOption declares @local, which compilers put around a timestamp in place of a zone: the time whose UTC fields are those of the time in the zone.
func LocalOption() cel.EnvOption {
	return cel.Function("@local", cel.Overload("local_time_in_zone", []*cel.Type{cel.TimestampType, cel.StringType}, cel.TimestampType,
		cel.BinaryBinding(func(t, name ref.Val) ref.Val {
			loc, err := ZoneOrOffset(string(name.(types.String)))
			if err != nil {
				return types.WrapErr(err)
			}
			at := t.(types.Timestamp).Time
			_, offset := at.In(loc).Zone()
			return types.Timestamp{Time: at.UTC().Add(time.Duration(offset) * time.Second)}
		})))
}
