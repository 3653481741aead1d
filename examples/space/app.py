"""A page that finds everybody's pose, as a Space of a hub."""

import keras_cpm
from keras_cpm.inference.person_finder import load_finder

predictor = keras_cpm.Predictor(*keras_cpm.load("cpm-light"))
keras_cpm.launch_app(predictor, load_finder()).block_thread()
