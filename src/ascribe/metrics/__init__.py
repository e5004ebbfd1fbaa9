"""What is measured: one question a file."""

from .accuracy import class_probabilities as class_probabilities
from .accuracy import predicted_labels as predicted_labels
from .alignment import angle as angle
from .alignment import feedback_alignment as feedback_alignment
from .alignment import gradient_alignment as gradient_alignment
from .alignment import norm as norm
from .area import area_under_curve as area_under_curve
from .confusion import OF_CONFUSION as OF_CONFUSION
from .confusion import balanced_accuracy as balanced_accuracy
from .confusion import confusion_matrix as confusion_matrix
from .confusion import macro_f1 as macro_f1
from .implicit_rate import implicit_rate as implicit_rate
from .implicit_rate import rate_quantiles as rate_quantiles
from .implicit_rate import zero_slope_share as zero_slope_share
from .layers import by_layer as by_layer
from .log_loss import OF_EACH as OF_EACH
from .log_loss import log_loss as log_loss
from .regression import r2 as r2
from .regression import rmse as rmse
from .roc import RANKED as RANKED
from .roc import area_under_roc as area_under_roc
