from gradxform.combinators import *
from gradxform.core import *
from gradxform.rules import *
from gradxform.transforms import *
from gradxform.optimizers import *
from gradxform.tree import apply_updates
