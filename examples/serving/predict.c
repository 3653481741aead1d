/* A SavedModel without Python: keypoints of photographs through TensorFlow's C library.
 *
 *   predict VERSION_FOLDER INPUT KEYPOINTS SCORES ERROR IMAGE...
 *
 * INPUT, KEYPOINTS, SCORES and ERROR are the tensors of the signature "serving_default", as
 *   saved_model_cli show --dir VERSION_FOLDER --tag_set serve --signature_def serving_default
 * prints them. Each image gives one line: its error, or x, y and score of every part; the last line, on stderr,
 * is the time of the fastest. docs/serving.md has the command that compiles this file.
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static void drop_string(void *data, size_t length, void *unused) {
  (void)length, (void)unused;
  TF_StringDealloc(data);
  free(data);
}

static TF_Tensor *tensor_of_file(const char *path) {
  const int64_t rows = 1;
  size_t length;
  char *data = read_file(path, &length);
  TF_TString *row = malloc(sizeof *row);
  TF_StringInit(row);
  TF_StringCopy(row, data, length);
  free(data);
  return TF_NewTensor(TF_STRING, &rows, 1, row, sizeof *row, drop_string, NULL);
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
}

static void print_pose(const char *path, TF_Tensor *const found[3]) {
  const float *keypoints = TF_TensorData(found[0]), *scores = TF_TensorData(found[1]);
  const TF_TString *error = TF_TensorData(found[2]);
  int length = (int)TF_StringGetSize(error);
  printf("%s:", path);
  if (length) printf(" %.*s", length, TF_StringGetDataPointer(error));
  for (int64_t i = 0; !length && i < TF_Dim(found[0], 1); ++i)
    printf(" %.6f %.6f %.6f", keypoints[2 * i], keypoints[2 * i + 1], scores[i]);
  printf("\n");
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
  double fastest = 0;
  for (int i = 6; i < argc; ++i) {
    TF_Tensor *image = tensor_of_file(argv[i]), *found[3];
    double start = milliseconds();
    TF_SessionRun(session, NULL, &input, &image, 1, outputs, found, 3, NULL, 0, NULL, status);
    double took = milliseconds() - start;
    stop_if(TF_GetCode(status) != TF_OK, "cannot be run", TF_Message(status));
    if (fastest == 0 || took < fastest) fastest = took;
    print_pose(argv[i], found);
    for (int k = 0; k < 3; ++k) TF_DeleteTensor(found[k]);
    TF_DeleteTensor(image);
  }
  fprintf(stderr, "%.3f ms\n", fastest);

  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
