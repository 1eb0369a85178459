package builtin

import (
	"testing"
	"time"
)

func TestZoneOrOffset(t *testing.T) {
	at := time.Date(2025, 7, 1, 10, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"Europe/Berlin": "12:00", "America/New_York": "06:00", "UTC": "10:00", "+05:30": "15:30", "-08:00": "02:00", "02:00": "12:00",
		"": "", "Local": "", "Mars/Base": "", "+5": "", "25:00": "",
	} {
		loc, err := ZoneOrOffset(name)
		if (err != nil) != (want == "") || err == nil && at.In(loc).Format("15:04") != want {
			t.Errorf("%q: %v, %v, want %q", name, loc, err, want)
		}
	}
}
