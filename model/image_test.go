package model

import (
	"context"
	"image"
	"image/color"
	"slices"
	"testing"

	"github.com/proviso-dev/proviso/nn"
)

func TestPatchesOfAPicture(t *testing.T) {
	picture := image.NewRGBA(image.Rect(5, 5, 8, 7)) // three across, two down, and not at the origin
	for i := range 6 {
		picture.Set(5+i%3, 5+i/3, color.RGBA{R: uint8(i * 51), G: 255, B: 0, A: 255})
	}
	got, n := Patches(picture, 2)
	x := func(i int) []float32 { return []float32{float32(i*51)/255*2 - 1, 1, -1} }
	grey := []float32{0, 0, 0}
	want := slices.Concat(x(0), x(1), x(3), x(4), x(2), grey, x(5), grey)
	if n != 2 || len(got) != len(want) {
		t.Fatalf("%d squares of %d values", n, len(got))
	}
	for i := range want {
		if d := got[i] - want[i]; d > 1e-6 || d < -1e-6 {
			t.Fatalf("value %d is %g, want %g", i, got[i], want[i])
		}
	}
	if v, n := Patches(picture, 0); v != nil || n != 0 {
		t.Error("squares of no size were cut")
	}
	if v, n := Patches(image.NewRGBA(image.Rectangle{}), 4); v != nil || n != 0 {
		t.Error("an empty picture was cut")
	}
}

// A network sees the difference between two pictures.
func TestPicturesReachTheNetwork(t *testing.T) {
	c := tiny("llama")
	c.Net.Patch = 3 * 4 * 4
	m, err := New(c, tinyTokenizer(t), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	g := running(t, m, GeneratorOptions{})
	ask := func(c color.Color) float64 {
		picture := image.NewRGBA(image.Rect(0, 0, 8, 8))
		for i := range 64 {
			picture.Set(i%8, i/8, c)
		}
		values, n := Patches(picture, 4)
		prompt := append(slices.Repeat([]int32{nn.PatchInput}, n), 1, 2)
		a, err := g.Generate(context.Background(), Request{Prompt: prompt, Patches: values, MaxTokens: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a.Tokens[0].LogProb
	}
	if ask(color.White) == ask(color.RGBA{R: 255, A: 255}) {
		t.Error("a white and a red picture are the same")
	}
}
