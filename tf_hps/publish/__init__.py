"""The trainer's side of online updates: needs numpy only, no op library and no TensorFlow."""

from tf_hps.publish.frame import Frame as Frame
from tf_hps.publish.frame import FrameError as FrameError
from tf_hps.publish.frame import read_frames as read_frames
from tf_hps.publish.publisher import Publisher as Publisher
from tf_hps.publish.redis_options import RedisStreamOptions as RedisStreamOptions

__all__ = ["Frame", "FrameError", "Publisher", "RedisStreamOptions", "read_frames"]
