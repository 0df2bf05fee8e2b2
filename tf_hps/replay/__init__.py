"""Replays requests on SavedModels side by side: how fast they answer, in how much memory, and whether alike."""

from tf_hps.replay.child_process import ChildProcess as ChildProcess
from tf_hps.replay.replay import replay as replay
from tf_hps.replay.report import ReplayReport as ReplayReport
