/* A SavedModel without Python: keypoints of a photograph through TensorFlow's C library.
 *
 *   predict VERSION_FOLDER INPUT KEYPOINTS SCORES ERROR IMAGE...
 *
 * INPUT, KEYPOINTS, SCORES and ERROR are the tensors of the signature "serving_default", as
 *   saved_model_cli show --dir VERSION_FOLDER --tag_set serve --signature_def serving_default
 * prints them. All images go through in one batch; each gives one line: its error, or x, y and score
 * of every part. docs/serving.md has the command that compiles this file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void stop_if(int failed, const char *what, const char *detail) {
  if (!failed) return;
  fprintf(stderr, "%s: %s\n", what, detail);
  exit(1);
}

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  stop_if(file == NULL, "cannot be read", path);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*length + 1);
  stop_if(data == NULL || fread(data, 1, *length, file) != *length, "cannot be read", path);
  fclose(file);
  return data;
}

static void drop_string_tensor(void *data, size_t length, void *count) {
  (void)length;
  for (int64_t i = 0; i < (int64_t)(intptr_t)count; ++i) TF_StringDealloc((TF_TString *)data + i);
  free(data);
}

static TF_Tensor *tensor_of_files(char **paths, int64_t count) {
  TF_TString *rows = malloc(sizeof(TF_TString) * (size_t)count);
  for (int64_t i = 0; i < count; ++i) {
    size_t length;
    char *data = read_file(paths[i], &length);
    TF_StringInit(rows + i);
    TF_StringCopy(rows + i, data, length);
    free(data);
  }
  return TF_NewTensor(TF_STRING, &count, 1, rows, sizeof(TF_TString) * (size_t)count, drop_string_tensor,
                      (void *)(intptr_t)count);
}

/* "StatefulPartitionedCall:1" -> that operation and 1 */
static TF_Output output_of(TF_Graph *graph, const char *tensor) {
  char name[512];
  snprintf(name, sizeof name, "%s", tensor);
  char *colon = strrchr(name, ':');
  int index = colon ? atoi(colon + 1) : 0;
  if (colon) *colon = 0;
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  stop_if(output.oper == NULL, "no such tensor in the model", tensor);
  return output;
}

int main(int argc, char **argv) {
  stop_if(argc < 7, "usage", "predict VERSION_FOLDER INPUT KEYPOINTS SCORES ERROR IMAGE...");
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  stop_if(TF_GetCode(status) != TF_OK, "cannot be loaded", TF_Message(status));

  TF_Output input = output_of(graph, argv[2]), outputs[3];
  for (int i = 0; i < 3; ++i) outputs[i] = output_of(graph, argv[3 + i]);
  TF_Tensor *images = tensor_of_files(argv + 6, argc - 6), *found[3];
  TF_SessionRun(session, NULL, &input, &images, 1, outputs, found, 3, NULL, 0, NULL, status);
  stop_if(TF_GetCode(status) != TF_OK, "cannot be run", TF_Message(status));

  const float *keypoints = TF_TensorData(found[0]), *scores = TF_TensorData(found[1]);
  const TF_TString *errors = TF_TensorData(found[2]);
  int64_t parts = TF_Dim(found[0], 1);
  for (int64_t row = 0; row < argc - 6; ++row) {
    int length = (int)TF_StringGetSize(errors + row);
    printf("%s:", argv[6 + row]);
    if (length) printf(" %.*s", length, TF_StringGetDataPointer(errors + row));
    for (int64_t i = row * parts; !length && i < (row + 1) * parts; ++i)
      printf(" %.6f %.6f %.6f", keypoints[2 * i], keypoints[2 * i + 1], scores[i]);
    printf("\n");
  }

  for (int i = 0; i < 3; ++i) TF_DeleteTensor(found[i]);
  TF_DeleteTensor(images);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
