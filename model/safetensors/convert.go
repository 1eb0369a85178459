package safetensors

import (
	"encoding/binary"
	"math"
)

// decoders fill dst from the little-endian values at the head of src.
var decoders = map[DType]func(dst []float32, src []byte){
	F64: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	},
	F32: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	},
	F16: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	},
	BF16: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	},
}

// encoders append values as little-endian ones of a type.
var encoders = map[DType]func(b []byte, src []float32) []byte{
	F32: func(b []byte, src []float32) []byte {
		for _, x := range src {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	},
	F16: func(b []byte, src []float32) []byte {
		for _, x := range src {
			b = binary.LittleEndian.AppendUint16(b, toHalf(x))
		}
		return b
	},
	BF16: func(b []byte, src []float32) []byte {
		for _, x := range src {
			b = binary.LittleEndian.AppendUint16(b, toBrain(x))
		}
		return b
	},
}

// toBrain rounds to bfloat16. A NaN stays one, whatever its payload.
func toBrain(x float32) uint16 {
	u := math.Float32bits(x)
	if x != x {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// fromHalf widens a float16: 1 bit sign, 5 bits exponent with bias 15, 10 bits fraction.
func fromHalf(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac·2⁻²⁴
		x := float32(frac) * 0x1p-24
		return math.Float32frombits(math.Float32bits(x) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// toHalf rounds to float16; what is too large becomes infinite.
func toHalf(x float32) uint16 {
	u := math.Float32bits(x)
	sign, u := uint16(u>>16&0x8000), u&0x7fffffff
	switch {
	case u > 0xff<<23:
		return sign | 0x7e00
	case u >= (127+16)<<23:
		return sign | 0x7c00
	case u < (127-14)<<23: // subnormal: an integer number of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(u))*0x1p24))
	}
	u -= (127 - 15) << 23
	return sign | uint16((u+0xfff+u>>13&1)>>13)
}
