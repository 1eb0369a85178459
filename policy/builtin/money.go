package builtin

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// MoneyCents counts the hundredths of an amount.
var MoneyCents = &Func{
	Name: "money.cents",
	Doc: `The amount in hundredths, exactly. An amount with a fraction of a hundredth is an error; round it first.
money.cents('USD 1,234.50') // 123450
money.cents(0.29) // 29
money.cents(7) // 700
money.cents('0.005') // error: fraction`,
	Overloads: []Overload{
		{ID: "proviso_money_cents_string", In: text, Out: cel.IntType, Eval: centsOf, Cost: 5},
		{ID: "proviso_money_cents_double", In: []*cel.Type{cel.DoubleType}, Out: cel.IntType, Eval: centsOf, Cost: 5},
		{ID: "proviso_money_cents_int", In: []*cel.Type{cel.IntType}, Out: cel.IntType, Eval: centsOf, Cost: 5},
	},
}

// MoneyCurrency is the currency that an amount names.
var MoneyCurrency = &Func{
	Name: "money.currency",
	Doc: `The currency of an amount as written: three capital letters or one of $ € £ ¥; empty where the text names none.
money.currency('USD 12.50') // 'USD'
money.currency('12.50 €') // '€'
money.currency('12.50') // ''`,
	Overloads: []Overload{{ID: "proviso_money_currency", In: text, Out: cel.StringType, Cost: 5, Eval: eval1(func(s string) (string, error) {
		_, c, err := parseMoney(s)
		return c, err
	})}},
}

// MoneyParse reads an amount.
var MoneyParse = &Func{
	Name: "money.parse",
	Doc: `The amount that a text names, with or without its currency before or behind. The point separates decimals; commas may group three digits. Amounts lie below 10^15 and have at most 12 decimals.
The result is the double nearest to the exact amount, so it equals the literal written the same way.
money.parse('USD 12.50') // 12.5
money.parse('-1,234.05 €') // -1234.05
money.parse('1.234,50') // error: not an amount`,
	Overloads: []Overload{{ID: "proviso_money_parse", In: text, Out: cel.DoubleType, Cost: 5, Eval: eval1(func(s string) (float64, error) {
		r, _, err := parseMoney(s)
		if err != nil {
			return 0, err
		}
		return nearest(r), nil
	})}},
}

// MoneyRound rounds an amount.
var MoneyRound = &Func{
	Name: "money.round",
	Doc: `The amount rounded to a number of decimals between 0 and 12, halves away from zero, computed on the decimal digits and not on their binary approximation.
money.round(2.675, 2) // 2.68
money.round(-0.5, 0) // -1.0
money.round(1234.5, 0) // 1235.0`,
	Overloads: []Overload{{ID: "proviso_money_round", In: []*cel.Type{cel.DoubleType, cel.IntType}, Out: cel.DoubleType, Cost: 5, Eval: eval2(roundMoney)}},
}

// MoneySum adds amounts.
var MoneySum = &Func{
	Name: "money.sum",
	Doc: `The sum of a list of amounts (doubles, integers or texts), added exactly in decimal and then rounded once to the nearest double. The sum of no amounts is 0.
money.sum([0.1, 0.2]) == 0.3 // true
money.sum(['12.50', 7, -0.5]) // 19.0
money.sum([]) // 0.0`,
	Overloads: []Overload{{ID: "proviso_money_sum", In: []*cel.Type{cel.ListType(cel.DynType)}, Out: cel.DoubleType, Eval: sumMoney, Cost: 1000}},
}

// MoneyTiered computes progressive rates.
var MoneyTiered = &Func{
	Name: "money.tiered",
	Doc: `What an amount comes to at rates that change from tier to tier, as with an income tax or a graded commission: each part of the amount at the rate of the tier that it lies in.
The first list has the upper ends of the tiers, ascending, the second the rates, one more because the last tier has no end. Computed exactly in decimal and then rounded once to the nearest double.
An amount below zero and bounds that do not ascend from above zero are errors.
money.tiered(15000, [10000, 40000], [0.1, 0.2, 0.4]) // 2000.0
money.tiered(10000, [10000, 40000], [0.1, 0.2, 0.4]) // 1000.0
money.tiered(0.3, [], [0.1]) // 0.03
money.tiered(5, [10], [0.1]) // error: one rate more than bounds`,
	Overloads: []Overload{{ID: "proviso_money_tiered", In: []*cel.Type{cel.DynType, cel.ListType(cel.DynType), cel.ListType(cel.DynType)}, Out: cel.DoubleType, Eval: tieredMoney, Cost: 1000}},
}

// MoneyTimes multiplies amounts.
var MoneyTimes = &Func{
	Name: "money.times",
	Doc: `The product of two amounts (doubles, integers or texts), multiplied exactly in decimal and then rounded once to the nearest double.
money.times(0.1, 3) == 0.3 // true
money.times('19.99', 2) // 39.98`,
	Overloads: []Overload{{ID: "proviso_money_times", In: []*cel.Type{cel.DynType, cel.DynType}, Out: cel.DoubleType, Cost: 5, Eval: func(args ...ref.Val) ref.Val {
		a, err := amount(args[0])
		if err != nil {
			return types.WrapErr(err)
		}
		b, err := amount(args[1])
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Double(nearest(a.Mul(a, b)))
	}}},
}

// moneyText is a sign, a currency and a decimal number; the currency may stand before or behind.
var moneyText = lazyregexp.New(`^(-?)(?:([A-Z]{3}|[$€£¥])\s?)?(-?)([0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(\.[0-9]{1,12})?(?:\s?([A-Z]{3}|[$€£¥]))?$`)

func parseMoney(s string) (*big.Rat, string, error) {
	m := moneyText.FindStringSubmatch(s)
	if m == nil || m[1] != "" && m[3] != "" || m[2] != "" && m[6] != "" {
		return nil, "", fmt.Errorf("%s is not an amount such as 12.50, 1,234.50 or USD 12.50", quote(s))
	}
	r, ok := new(big.Rat).SetString(m[1] + m[3] + strings.ReplaceAll(m[4], ",", "") + m[5])
	if !ok {
		return nil, "", fmt.Errorf("%s is not an amount", quote(s))
	}
	return r, m[2] + m[6], nil
}

// maxAmount bounds amounts, so that exact arithmetic on them stays small; doubles hold every cent below it.
const maxAmount = 1e15

// amount reads a value as an exact decimal. A double counts as the shortest decimal that names it.
func amount(v ref.Val) (*big.Rat, error) {
	switch v := v.(type) {
	case types.String:
		r, _, err := parseMoney(string(v))
		return r, err
	case types.Int:
		if v <= -maxAmount || v >= maxAmount {
			return nil, fmt.Errorf("%d is not below 10^15", int64(v))
		}
		return new(big.Rat).SetInt64(int64(v)), nil
	case types.Double:
		f := float64(v)
		if !(math.Abs(f) < maxAmount) {
			return nil, fmt.Errorf("%v is not a number below 10^15", f)
		}
		if f != 0 && math.Abs(f) < 1e-30 {
			return nil, fmt.Errorf("%v is too small for an amount", f)
		}
		r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, 64))
		return r, nil
	}
	return nil, fmt.Errorf("a value of type %s is not an amount", v.Type().TypeName())
}

func nearest(r *big.Rat) float64 {
	f, _ := r.Float64()
	return f
}

var errFraction = errors.New("the amount has a fraction of a hundredth; use money.round first")

func centsOf(args ...ref.Val) ref.Val {
	r, err := amount(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	r.Mul(r, big.NewRat(100, 1))
	if !r.IsInt() {
		return types.WrapErr(errFraction)
	}
	return types.Int(r.Num().Int64())
}

func roundMoney(f float64, digits int64) (float64, error) {
	if digits < 0 || digits > 12 {
		return 0, fmt.Errorf("%d decimals; the number has to be between 0 and 12", digits)
	}
	r, err := amount(types.Double(f))
	if err != nil {
		return 0, err
	}
	rounded, _ := new(big.Rat).SetString(r.FloatString(int(digits))) // FloatString rounds halves away from zero
	return nearest(rounded), nil
}

func sumMoney(args ...ref.Val) ref.Val {
	list, err := amounts(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	sum := new(big.Rat)
	for _, a := range list {
		sum.Add(sum, a)
	}
	return types.Double(nearest(sum))
}

func tieredMoney(args ...ref.Val) ref.Val {
	left, err := amount(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	bounds, err := amounts(args[1])
	if err != nil {
		return types.WrapErr(err)
	}
	rates, err := amounts(args[2])
	if err != nil {
		return types.WrapErr(err)
	}
	if len(rates) != len(bounds)+1 {
		return types.NewErr("%d rates for %d bounds; there has to be one rate more than bounds", len(rates), len(bounds))
	}
	if left.Sign() < 0 {
		return types.NewErr("an amount below zero lies in no tier")
	}
	sum, from := new(big.Rat), new(big.Rat)
	for i, rate := range rates {
		part := new(big.Rat).Sub(left, from)
		if i < len(bounds) {
			if bounds[i].Cmp(from) <= 0 {
				return types.NewErr("the bounds do not ascend from above zero")
			}
			if width := new(big.Rat).Sub(bounds[i], from); part.Cmp(width) > 0 {
				part = width
			}
			from = bounds[i]
		}
		if part.Sign() > 0 {
			sum.Add(sum, part.Mul(part, rate))
		}
	}
	return types.Double(nearest(sum))
}

// amounts reads a list of amounts.
func amounts(v ref.Val) ([]*big.Rat, error) {
	l, ok := v.(traits.Lister)
	if !ok {
		return nil, errType
	}
	var out []*big.Rat
	for it := l.Iterator(); it.HasNext() == types.True; {
		a, err := amount(it.Next())
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
