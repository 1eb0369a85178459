// Prints the logits that llama.cpp gives, for the test that compares: for each token of a text, those of what follows it.
// usage: llamacpp LIBGGML LIBLLAMA FOLDER_OF_CPU_LIBRARIES MODEL.gguf TOKEN... > logits (32-bit floats)
//
// The libraries come without headers. Structs that are passed by value are declared larger than they are, which the calling convention of x86-64 allows: the callee reads its part.
// The cache of keys and values is set to 32 bits, and flash attention off, by looking for the fields' defaults.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int64_t words[128]; } params;
typedef struct { int64_t words[7]; } batch;

static void *need(void *lib, const char *name) {
  void *f = dlsym(lib, name);
  if (!f) {
    fprintf(stderr, "no function %s\n", name);
    exit(2);
  }
  return f;
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  void *ggml = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  void *llama = ggml ? dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL) : NULL;
  if (!llama) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  void (*load_backends)(const char *) = need(ggml, "ggml_backend_load_all_from_path");
  params (*model_defaults)(void) = need(llama, "llama_model_default_params");
  params (*context_defaults)(void) = need(llama, "llama_context_default_params");
  void *(*load)(const char *, params) = need(llama, "llama_model_load_from_file");
  void *(*init)(void *, params) = need(llama, "llama_init_from_model");
  void *(*get_vocab)(void *) = need(llama, "llama_model_get_vocab");
  int32_t (*vocab_size)(void *) = need(llama, "llama_vocab_n_tokens");
  batch (*one)(int32_t *, int32_t) = need(llama, "llama_batch_get_one");
  int32_t (*decode)(void *, batch) = need(llama, "llama_decode");
  float *(*logits)(void *, int32_t) = need(llama, "llama_get_logits_ith");

  load_backends(argv[3]);
  params m;
  memset(&m, 0, sizeof m);
  m = model_defaults();
  void *model = load(argv[4], m);
  if (!model) return 3;

  params c;
  memset(&c, 0, sizeof c);
  c = context_defaults();
  int32_t *field = (int32_t *)&c;
  int found = 0;
  for (int i = 0; i < 40; i++) {
    if (field[i] == 4 && field[i + 1] == 4) { // threads; several would wait for each other by turning round
      field[i] = field[i + 1] = 1;
      found |= 1;
    }
    if (field[i] == -1 && field[i + 1] == -1 && field[i + 2] == -1 && field[i + 3] == -1) { // rope scaling, pooling, attention, flash attention: the model's, or automatic
      field[i + 3] = 0;
      found |= 2;
    }
    if (found == 3 && field[i] == 1 && field[i + 1] == 1) { // types of the cache, behind the others: F16, F16
      field[i] = field[i + 1] = 0;                          // F32
      found |= 4;
    }
  }
  if (found != 7) {
    fprintf(stderr, "the fields of the context are not where they were\n");
    return 2;
  }
  void *context = init(model, c);
  if (!context) return 3;
  int32_t n = vocab_size(get_vocab(model));
  for (int i = 5; i < argc; i++) {
    int32_t token = atoi(argv[i]);
    if (decode(context, one(&token, 1)) != 0) return 3;
    fwrite(logits(context, -1), sizeof(float), n, stdout);
  }
  fflush(stdout);
  _Exit(0); // the libraries' own ends are not what is tested
}
