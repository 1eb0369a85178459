package proviso

import "slices"

// DecodeOutline is DecodeResultJSON for an object of which only a part is asked for, such as a request with the schemas of a hundred tools: members for which leave
// returns true are checked as strictly as all others and read as null, so that they cost no memory. leave is given the key of the whole object's member that the
// text stands in, and the key of the member itself; it is not asked about members of the whole object.
func DecodeOutline(text string, leave func(top, key string) bool) (any, error) {
	d := newDecoder(text, true)
	defer d.release()
	d.leave = leave
	return d.whole()
}

// CheckResultJSON returns the error that DecodeResultJSON has for a text, and builds nothing.
func CheckResultJSON[T ~string | ~[]byte](text T) error {
	d := newDecoder(string(text), true)
	defer d.release()
	if !d.start() || !d.skim() || !d.finish() {
		return d.err
	}
	return nil
}

// member reads the value of a key.
func (d *decoder) member(key string) (any, bool) {
	switch {
	case d.leave == nil:
	case d.depth == 1:
		d.top = key
	case d.leave(d.top, key):
		return nil, d.skim()
	}
	return d.value()
}

// skim checks a value and builds nothing.
func (d *decoder) skim() bool {
	switch c := d.peek(); {
	case c == '"':
		_, _, ok := d.quoted()
		return ok
	case c == '{':
		return d.skimObject()
	case c == '[':
		return d.skimArray()
	}
	_, ok := d.value()
	return ok
}

func (d *decoder) skimArray() bool {
	if !d.enter() {
		return false
	}
	for first := true; ; first = false {
		more, ok := d.more(']', first)
		if !ok || !more {
			return ok
		}
		if !d.skim() {
			return false
		}
	}
}

func (d *decoder) skimObject() bool {
	if !d.enter() {
		return false
	}
	base := len(d.keys)
	var seen map[string]bool
	for first := true; ; first = false {
		more, ok := d.more('}', first)
		if !ok || !more {
			d.keys = d.keys[:base]
			return ok
		}
		at := d.i
		key, ok := d.key()
		if !ok || !d.skim() {
			return false
		}
		if len(d.keys)-base == fewKeys {
			seen = make(map[string]bool, 2*fewKeys)
			for _, k := range d.keys[base:] {
				seen[k.key] = true
			}
		}
		if seen[key] || seen == nil && slices.ContainsFunc(d.keys[base:], func(k keyAt) bool { return k.key == key }) {
			return d.duplicate(at, key)
		}
		if seen != nil {
			seen[key] = true
		}
		d.keys = append(d.keys, keyAt{key, at})
	}
}

// fewKeys is how many keys of an object are looked through rather than put into a map.
const fewKeys = 12
