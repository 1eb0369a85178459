package schema

import (
	"cel.dev/cel-go/common/types"
)

// Provider lets CEL's checker see the object types. Values stay map[string]any: only the checker needs structs.
// A field that does not exist is remembered with the fields that do, for the message.
type Provider struct {
	types.Provider
	Structs map[string]*Shape
	Asked   map[string][]string
}

func (p *Provider) FindStructType(n string) (*types.Type, bool) {
	if _, ok := p.Structs[n]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(n)), true
	}
	return p.Provider.FindStructType(n)
}

func (p *Provider) FindStructFieldNames(n string) ([]string, bool) {
	if s, ok := p.Structs[n]; ok {
		return s.Names, true
	}
	return p.Provider.FindStructFieldNames(n)
}

// FindStructFieldType leaves IsSet and GetFrom nil on purpose: with IsSet, has() of an unobserved fact would be false instead of unknown, and !has() would permit.
func (p *Provider) FindStructFieldType(n, name string) (*types.FieldType, bool) {
	s, ok := p.Structs[n]
	if !ok {
		return p.Provider.FindStructFieldType(n, name)
	}
	f, ok := s.Fields[name]
	if !ok {
		if s.Dynamic {
			return &types.FieldType{Type: types.DynType}, true
		}
		if p.Asked != nil {
			p.Asked[name] = s.Names
		}
		return nil, false
	}
	t := types.DynType
	if f.Shape != nil {
		t = f.Shape.Type
	}
	return &types.FieldType{Type: t}, true
}
