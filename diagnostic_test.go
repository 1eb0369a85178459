package proviso

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"order_id", "amount", "reason", "now", "created_at"}
	for in, want := range map[string]string{
		"order": "order_id", "amonut": "amount", "Amount": "amount", "raeson": "reason", "creatd_at": "created_at", "nwo": "now", "total": "", "x": "",
	} {
		if got := Nearest(in, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOutcomesAndPointsKeepTheirNames(t *testing.T) {
	for _, p := range Points() {
		if q, ok := ParsePoint(p.String()); !ok || q != p {
			t.Errorf("point %v is read back as %v", p, q)
		}
	}
	for o := Deny; o <= Allow; o++ {
		if q, ok := ParseOutcome(o.String()); !ok || q != o {
			t.Errorf("outcome %v is read back as %v", o, q)
		}
	}
	var o Outcome = Allow
	if err := o.UnmarshalText([]byte("alow")); err == nil || o != Deny {
		t.Errorf("an unknown outcome became %v, %v", o, err)
	}
}
