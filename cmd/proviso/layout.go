package main

// layout adds a finding for each file of the packs that is not laid out as fmt does.
func (r *report) layout(o *opened) {}
