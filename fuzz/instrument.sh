#!/bin/sh
# A compiler for RUSTC_WRAPPER: gives libFuzzer's counters to the server and to what reads files and texts for
# it. All else, tensors above all, is compiled as always: what it does teaches the fuzzer nothing.
rustc=$1
shift
name=
previous=
for argument in "$@"; do
    [ "$previous" = --crate-name ] && name=$argument
    previous=$argument
done
case $name in
tessera | tessera_fuzz | request | schema | image_file | pdf | partial_json | prompt | access | uri | image | image_webp | png | tiff | \
    zune_jpeg | fdeflate | weezl | hayro | hayro_* | llguidance | tokenizers | jsonwebtoken)
    exec "$rustc" "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code -Ccodegen-units=4
    ;;
esac
exec "$rustc" "$@"
